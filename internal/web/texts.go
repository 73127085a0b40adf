package web

import (
	"op25b/internal/page"
	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

// texts contains the page's texts by key.
var texts = page.Join(layoutTexts, signInTexts, overviewTexts, switchTexts, programmeTexts, curvesTexts, changesTexts, checkTexts, rolloutTexts, verbTexts)

// T returns a text in the page's language.
func (b base) T(key string, args ...any) string { return texts.T(b.Lang, key, args...) }

// State returns the name of a switch's state.
func (b base) State(s op25bv1.SwitchState) string { return view.State(b.Lang, s) }
