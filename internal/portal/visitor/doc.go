// Package visitor finds out from which address a request comes, and limits how often an address may ask.
//
// An address is used for the answer to one request and for the limits. It is never logged, stored or exported.
package visitor
