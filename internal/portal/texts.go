package portal

import "op25b/internal/page"

// texts contains the portal's texts by key, in English and Japanese. Ruby in titles is written as {漢字|かんじ}.
var texts = page.Join(frameTexts, startTexts, answerTexts, wordTexts, testTexts, programmeTexts, contentTexts, exportTexts)
