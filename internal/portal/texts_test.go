package portal

import (
	"testing"

	"op25b/internal/page/pagetest"
)

func TestTexts(t *testing.T) { pagetest.Texts(t, templateFiles, texts) }
