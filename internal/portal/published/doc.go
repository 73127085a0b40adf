// Package published follows what a controller publishes, and keeps the last publication in memory and in a file.
//
// The portal serves its pages from the last publication, so that it also works while no controller can be reached. The package knows what a
// publication contains, but not what the pages show of it. It never sees a visitor.
package published
