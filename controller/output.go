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

// String implements pflag.Value.
func (o *outputFormat) String() string { return string(*o) }

// Set implements pflag.Value. It accepts only table and json.
func (o *outputFormat) Set(s string) error {
	switch f := outputFormat(s); f {
	case tableOutput, jsonOutput:
		*o = f
		return nil
	}
	return fmt.Errorf("must be table or json")
}

// Type returns the type name that the help shows.
func (o *outputFormat) Type() string { return "table|json" }

func addOutput(cmd *cobra.Command, o *outputFormat) {
	*o = tableOutput
	cmd.Flags().VarP(o, "output", "o", "output format")
}

// addLog adds the log flags of a daemon. The returned function creates the logger, and must be called after the flags have
// been parsed.
func addLog(cmd *cobra.Command) func() (*zap.Logger, error) {
	level := zapcore.InfoLevel
	format := cmd.Flags().String("log-format", "console", "format of the log: console or json")
	cmd.Flags().Var(levelFlag{&level}, "log-level", "lowest level to log: debug, info, warn or error")
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
			return nil, fmt.Errorf("--log-format %q: must be console or json", *format)
		}
		config.Level = zap.NewAtomicLevelAt(level)
		return config.Build()
	}
}

type levelFlag struct{ *zapcore.Level }

// Set accepts only the levels that the help lists, because zap has further levels, such as panic.
func (f levelFlag) Set(s string) error {
	switch s {
	case "debug", "info", "warn", "error":
		return f.Level.Set(s)
	}
	return fmt.Errorf("must be debug, info, warn or error")
}

// Type returns the type name that the help shows.
func (levelFlag) Type() string { return "level" }
