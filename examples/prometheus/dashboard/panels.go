package main

// These are the actions of rules whose packets are stopped, and of rules whose packets pass. A rule with the action limit drops the
// packets above its rate, and counts them together with the others.
const (
	stopped = `action=~"drop|reject"`
	passed  = `action=~"permit|monitor|limit"`
)

// byAction returns an expression for the packet rate of the selected switches with an action, summed by labels.
func byAction(labels, action string) string {
	return "sum by (" + labels + ") (switch_rule_leg_action:op25b_rule_packets:rate5m{switch=~\"$switch\"," + action + "})"
}

// panels returns the panels without their ids and places.
func panels() []panel {
	return []panel{
		row("Now"),
		number("Stopped", "Packets a second of rules that drop or reject.", "pps", `sum(switch_rule_leg_action:op25b_rule_packets:rate5m{switch=~"$switch",`+stopped+`})`),
		number("Passed", "Packets a second of rules that permit, monitor or limit. Only mail and what cannot be read counts; the pipeline counts no other traffic by rule.", "pps",
			`sum(switch_rule_leg_action:op25b_rule_packets:rate5m{switch=~"$switch",`+passed+`})`),
		number("Switches without current counters", "Their last totals are shown, and do not grow.", "none", `count(switch:op25b_telemetry_up:max{switch=~"$switch"} == 0) or vector(0)`, green, 1, red),
		number("Oldest counters", "Age of the newest value of the switch whose values are oldest.", "s", `max(switch:op25b_telemetry_age_seconds:min{switch=~"$switch"})`, green, 30, orange, 120, red),
		number("First certificate ends in", "Of the controllers' and the switches' certificates.", "s", `min(op25b_certificate_not_after_timestamp_seconds) - time()`, red, 2*86400, orange, 14*86400, green),
		number("Alerts", "Alerts of op25b that are firing.", "none", `count(ALERTS{alertname=~"Op25b.*",alertstate="firing"}) or vector(0)`, green, 1, orange),

		row("Blocking"),
		graph("Stopped packets by rule and leg", "Legs: up_dst is mail of subscribers to servers; down_src are its answers; down_dst is mail to servers of subscribers; up_src are its answers.", "pps",
			byAction("rule, leg", stopped), "{{rule}} {{leg}}", stacked),
		graph("Stopped and passed packets by action", "A monitor rule passes what a later phase stops.", "pps", byAction("action", `action!=""`), "{{action}}", stacked),
		graph("Monitored packets by rule and leg", "What the rules would stop if they dropped.", "pps", byAction("rule, leg", `action="monitor"`), "{{rule}} {{leg}}", stacked),
		graph("Stopped packets by switch", "", "pps", byAction("switch", stopped), "{{switch}}", stacked),
		graph("Share of packets by phase", "All counted packets, by the phases that were in force when they were counted.", "pps",
			`sum by (phase) (switch_rule_leg_phase:op25b_rule_packets:rate5m{switch=~"$switch"})`, "{{phase}}", percent),
		table("Packets by rule, leg and phase", "Totals since the owner of the switch first read it.", "short",
			`max by (switch, rule, leg, phase) (op25b_rule_packets_total{switch=~"$switch"})`),

		row("Interfaces"),
		graph("Traffic by interface", "Out is negative.", "bps", `8 * switch_interface_direction:op25b_interface_octets:rate5m{switch=~"$switch",direction="in"}`, "{{switch}} {{interface}} in", plain,
			`-8 * switch_interface_direction:op25b_interface_octets:rate5m{switch=~"$switch",direction="out"}`, "{{switch}} {{interface}} out"),
		graph("Discards and errors by interface", "What a rule stops is not a discard.", "pps", `switch_interface_direction:op25b_interface_discards:rate5m{switch=~"$switch"}`,
			"{{switch}} {{interface}} {{direction}} discards", plain, `switch_interface_direction:op25b_interface_errors:rate5m{switch=~"$switch"}`, "{{switch}} {{interface}} {{direction}} errors"),

		row("Changes"),
		timeline("Rollout", "The state of the rollout that runs or that ended last.", `max by (state) (op25b_rollout_state) == 1`, "{{state}}"),
		table("What holds the rollout", "op25b rollout status shows the switches and the reasons.", "none", `max by (gate, verdict) (op25b_rollout_findings)`),
		number("Exemptions ending within 14 days", "op25b exempt list --expiring 14d shows them.", "none", `max(op25b_exemptions_ending) or vector(0)`, green, 1, orange),
		number("Scheduled changes of phase", "op25b phase list shows them.", "none", `max(op25b_scheduled_activations) or vector(0)`),
		number("Switches held for maintenance", "Nothing is written to them.", "none",
			`sum(max by (switch) (op25b_switch_held{switch=~"$switch"})) or vector(0)`, green, 1, orange),
		number("Fullest table", "A change that does not fit is refused.", "percent",
			`100 * max(max by (switch, table) (op25b_switch_entries{switch=~"$switch"}) / max by (switch, table) (op25b_switch_capacity{switch=~"$switch"}))`,
			green, 80, orange, 90, red),
		graph("Probes", "Packets an hour that switches were asked about, and those that they would not treat as the documents demand.", "short",
			`sum(increase(op25b_fleet_probes_total[1h]))`, "asked", plain, `sum(increase(op25b_fleet_probe_deviations_total[1h]))`, "deviating"),

		row("Collection"),
		timeline("Counters are current", "The gNMI subscription of each switch.", `switch:op25b_telemetry_up:max{switch=~"$switch"}`, "{{switch}}"),
		graph("Age of the newest counters", "", "s", `switch:op25b_telemetry_age_seconds:min{switch=~"$switch"}`, "{{switch}}", plain),
		table("State and reason", "docs/telemetry.md has a remedy for each reason.", "none", `max by (switch, state, reason) (op25b_telemetry_state{switch=~"$switch"})`),
		table("Certificates", "The time until each certificate ends.", "s", `min by (use, switch) (op25b_certificate_not_after_timestamp_seconds{switch=~"$switch|"}) - time()`),

		row("Controllers"),
		graph("Switches by state", "As the controllers that are assigned to them report.", "none", `sum by (state) (op25b_fleet_switches)`, "{{state}}", stacked),
		graph("Repaired and refused entries", "Entries an hour: drift that another hand made, and updates that switches refused.", "short",
			`sum(increase(op25b_fleet_drift_total[1h]))`, "repaired", plain, `sum(increase(op25b_fleet_writes_refused_total[1h]))`, "refused"),
	}
}
