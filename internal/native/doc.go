package native

//go:generate go run ./generate ../../p4src/build/op25b.json native_gen.go
