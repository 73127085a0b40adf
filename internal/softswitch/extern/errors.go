package extern

import "errors"

var (
	// ErrAlgorithm is returned by NewHash for a name that v1model does not have, and by SetCRC of a hash other than a custom CRC.
	ErrAlgorithm = errors.New("unknown hash algorithm")
	// ErrCRC is returned by SetCRC for parameters wider than the CRC. The hash keeps its previous parameters.
	ErrCRC = errors.New("bad CRC parameters")
	// ErrMeterConfig is returned for invalid rates or bursts. The meter keeps its previous configuration.
	ErrMeterConfig = errors.New("bad meter configuration")
	// ErrMeterIndex is returned for a cell that the array does not have.
	ErrMeterIndex = errors.New("bad meter index")
)
