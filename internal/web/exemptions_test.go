package web_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	op25bv1 "op25b/proto/op25b/v1"
)

// TestExemptionsThatEnd verifies that the overview says when the next exemption ends if none ends soon, and that a page lists all that end within a
// year.
func TestExemptionsThatEnd(t *testing.T) {
	now := time.Date(2006, 9, 28, 12, 0, 0, 0, time.UTC)
	ending := func(line string, days int) *op25bv1.EndingExemption {
		return &op25bv1.EndingExemption{
			Line: line, Owner: "business@isp.example", Reason: "own mail server", Review: "2006-10-15", Expires: time.Date(2006, 9, 27+days, 0, 0, 0, 0, time.UTC).Format(time.DateOnly),
			Ends: timestamppb.New(time.Date(2006, 9, 28+days, 0, 0, 0, 0, time.FixedZone("", 9*3600))),
		}
	}
	f := &fakeAPI{
		now: func() time.Time { return now }, phases: &op25bv1.ListPhasesResponse{Revision: 7, UtcOffset: "+09:00"}, list: threeSwitches(now),
		dates: &op25bv1.ListDatesResponse{Revision: 7, UtcOffset: "+09:00"},
		year:  &op25bv1.ListDatesResponse{Revision: 7, UtcOffset: "+09:00", Ending: 3, Exemptions: []*op25bv1.EndingExemption{ending("plant-1", 40), ending("plant-2", 300)}},
	}
	wantTexts(t, pageOf(t, f, "/", "en"), "<p>No exemption ends within 14 days. The next one is that of plant-1, which lasts until the end of 2006-11-06.</p>", `<a href="/exemptions">`)
	wantTexts(t, pageOf(t, f, "/", "ja"), "<p>14日以内に終わる適用除外はありません。次はplant-1の適用除外で、2006-11-06の終わりまで有効です。</p>")
	wantTexts(t, pageOf(t, f, "/exemptions", "en"), "<h1>Exemptions that end within a year</h1>", `<th scope="row">plant-1</th>`, `<th scope="row">plant-2</th>`,
		`<time datetime="2007-07-24T15:00:00Z">until the end of 2007-07-24</time>`, `>own mail server</td>`, `>2006-10-15</td>`, "<p>and 1 more</p>")
	wantTexts(t, pageOf(t, f, "/exemptions", "ja"), "<h1>1年以内に終わる適用除外</h1>", "2007-07-24の終わりまで", "見直し日</th>")

	f.dates = &op25bv1.ListDatesResponse{Revision: 7, UtcOffset: "+09:00", Ending: 1, Exemptions: []*op25bv1.EndingExemption{ending("plant-0", 3)}}
	page := pageOf(t, f, "/", "en")
	wantTexts(t, page, "<p>1 exemption ends within 14 days.</p>", `<th scope="row">plant-0</th>`)
	lacksTexts(t, page, "plant-1")

	f.dates, f.year = &op25bv1.ListDatesResponse{Revision: 7}, &op25bv1.ListDatesResponse{Revision: 7}
	page = pageOf(t, f, "/", "en")
	wantTexts(t, page, "<p>No exemption ends within a year.</p>")
	lacksTexts(t, page, "/exemptions")
	wantTexts(t, pageOf(t, f, "/exemptions", "en"), "<p>No exemption ends within a year.</p>\n<p>Exemptions that end later are not listed here.")
}
