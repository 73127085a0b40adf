package view

import op25bv1 "op25b/proto/op25b/v1"

// collectionNames maps the states of a collection to the names that tables show.
var collectionNames = map[op25bv1.CollectionState]string{
	op25bv1.CollectionState_COLLECTION_STATE_UNSPECIFIED:  "unknown",
	op25bv1.CollectionState_COLLECTION_STATE_DISCONNECTED: "disconnected",
	op25bv1.CollectionState_COLLECTION_STATE_CONNECTING:   "connecting",
	op25bv1.CollectionState_COLLECTION_STATE_CONNECTED:    "connected",
	op25bv1.CollectionState_COLLECTION_STATE_SYNCED:       "synced",
	op25bv1.CollectionState_COLLECTION_STATE_STALE:        "stale",
	op25bv1.CollectionState_COLLECTION_STATE_ELSEWHERE:    "unknown",
	op25bv1.CollectionState_COLLECTION_STATE_NOT_OWNED:    "unknown",
}

// collectionReasons maps the reasons of these states to the texts that tables show.
var collectionReasons = map[op25bv1.CollectionReason]string{
	op25bv1.CollectionReason_COLLECTION_REASON_UNSPECIFIED:     "its first values are arriving",
	op25bv1.CollectionReason_COLLECTION_REASON_SCHEDULED:       "the first attempt is scheduled",
	op25bv1.CollectionReason_COLLECTION_REASON_DIALING:         "its controller is connecting to its gNMI server",
	op25bv1.CollectionReason_COLLECTION_REASON_UNREACHABLE:     "its gNMI server is unreachable",
	op25bv1.CollectionReason_COLLECTION_REASON_REFUSED:         "its gNMI server refuses the call",
	op25bv1.CollectionReason_COLLECTION_REASON_UNSUPPORTED:     "its gNMI server has no encoding that the controller knows",
	op25bv1.CollectionReason_COLLECTION_REASON_ENDED:           "it ended the subscription",
	op25bv1.CollectionReason_COLLECTION_REASON_SILENT:          "it sends no samples, although they are due",
	op25bv1.CollectionReason_COLLECTION_REASON_INVALID:         "it sent a message that is invalid or too large",
	op25bv1.CollectionReason_COLLECTION_REASON_TLS:             "the TLS files of the connection cannot be used",
	op25bv1.CollectionReason_COLLECTION_REASON_OTHER_OWNER:     "another controller collects its counters",
	op25bv1.CollectionReason_COLLECTION_REASON_NO_OWNER:        "no controller owns it, so no controller collects its counters",
	op25bv1.CollectionReason_COLLECTION_REASON_OWNER_NOT_ASKED: "its controller cannot be asked",
}

// collectionText returns the text for a state, and collectionReason returns the text for a reason. For a value that this version
// does not recognise, they return its number.
func collectionText(s op25bv1.CollectionState) string {
	if text, ok := collectionNames[s]; ok {
		return text
	}
	return s.String()
}

func collectionReason(r op25bv1.CollectionReason) string {
	if text, ok := collectionReasons[r]; ok {
		return text
	}
	return r.String()
}
