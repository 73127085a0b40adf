package extern

import "errors"

var (
	// ErrAlgorithm is returned by NewHash if v1model has no algorithm with that name, and by SetCRC if the hash is not a custom
	// CRC.
	ErrAlgorithm = errors.New("unknown hash algorithm")
	// ErrCRC is returned by SetCRC if a parameter is wider than the CRC. The hash keeps its previous parameters.
	ErrCRC = errors.New("bad CRC parameters")
	// ErrMeterConfig is returned for invalid rates or bursts. The meter keeps its previous configuration.
	ErrMeterConfig = errors.New("bad meter configuration")
	// ErrMeterIndex is returned for an index outside the array of meters.
	ErrMeterIndex = errors.New("bad meter index")
)
