// Package page has the parts that the NOC's page and the customers' portal have in common: the security headers, the compression, the
// languages and their texts, and the embedded files.
//
// The package knows neither switches nor customers.
package page
