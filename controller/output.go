package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// An outputFormat is the value of -o.
type outputFormat string

const (
	tableOutput outputFormat = "table"
	jsonOutput  outputFormat = "json"
)

// String, Set and Type make it a flag's value.
func (o *outputFormat) String() string { return string(*o) }

// Set takes one of the formats.
func (o *outputFormat) Set(s string) error {
	switch f := outputFormat(s); f {
	case tableOutput, jsonOutput:
		*o = f
		return nil
	}
	return fmt.Errorf("%q is not a format; valid are table and json", s)
}

// Type names the value in the help.
func (o *outputFormat) Type() string { return "table|json" }

func addOutput(cmd *cobra.Command, o *outputFormat) {
	*o = tableOutput
	cmd.Flags().VarP(o, "output", "o", "what to print")
}

// addLog gives a daemon its log flags and returns how to make the logger once they have been read.
func addLog(cmd *cobra.Command) func() (*zap.Logger, error) {
	level := zapcore.InfoLevel
	format := cmd.Flags().String("log-format", "console", "console or json")
	cmd.Flags().Var(levelFlag{&level}, "log-level", "debug, info, warn or error")
	return func() (*zap.Logger, error) {
		config := zap.NewProductionConfig()
		switch *format {
		case "json":
		case "console":
			config = zap.NewDevelopmentConfig()
			config.Development = false
			config.DisableCaller = true
			config.DisableStacktrace = true
		default:
			return nil, fmt.Errorf("--log-format %q: valid are console and json", *format)
		}
		config.Level = zap.NewAtomicLevelAt(level)
		return config.Build()
	}
}

type levelFlag struct{ *zapcore.Level }

// Set takes the levels that a daemon may run at; zap knows more, of which a panic is one.
func (f levelFlag) Set(s string) error {
	switch s {
	case "debug", "info", "warn", "error":
		return f.Level.Set(s)
	}
	return fmt.Errorf("%q is not a level; valid are debug, info, warn and error", s)
}

// Type names the value in the help.
func (levelFlag) Type() string { return "level" }
