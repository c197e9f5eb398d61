package web

import "net/http"

// hiding takes secrets out of what next answers.
func hiding(hide func(string) string, next http.Handler) http.Handler {
	if hide == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(hidingWriter{w, hide}, r) })
}

// hidingWriter hides secrets in each piece that is written: answers are written in one.
type hidingWriter struct {
	http.ResponseWriter
	hide func(string) string
}

func (w hidingWriter) Write(b []byte) (int, error) {
	text := string(b)
	clean := w.hide(text)
	if clean == text {
		return w.ResponseWriter.Write(b)
	}
	// The length of what was to be written is not that of what is.
	w.Header().Del("Content-Length")
	if _, err := w.ResponseWriter.Write([]byte(clean)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Unwrap lets a ResponseController reach the connection.
func (w hidingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
