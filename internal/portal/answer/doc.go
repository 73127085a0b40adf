// Package answer answers the questions of the portal's visitors from a publication: whether a kind of line is affected by the block of port
// 25, since when and by which rule, and what to set.
//
// The answers come from the pipeline that decides in the switches, with the published documents. The package knows no visitor: a question names
// a kind of line, and the caller finds out which kind a visitor has. It writes no sentences.
package answer
