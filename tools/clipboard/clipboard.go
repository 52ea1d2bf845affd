// Package glippy stands in for the clipboard module of Process Compose where
// a module proxy does not serve it. Only the terminal interface copies text;
// a headless Process Compose never calls this.
package glippy

import "errors"

// Method names how text reached a clipboard.
type Method int

// MethodOSC52 exists for callers that compare with it; nothing here returns it.
const MethodOSC52 Method = 1

var errNoClipboard = errors.New("this build of process-compose has no clipboard")

// Set copies nothing and says so.
func Set(text string) error {
	return errNoClipboard
}

// SetWithMethod copies nothing and says so.
func SetWithMethod(text string) (Method, error) {
	return 0, errNoClipboard
}
