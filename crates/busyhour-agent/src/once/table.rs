//! A window for people.

use busyhour_model::{BurstLoss, ClockQuality, Ecn, Jitter, Window};

use busyhour_probe::SenderStats;

use super::figures::{CallFigures, Figures, Spread};
use super::measure::Measured;
use crate::config::Target;
use crate::print::{bits_per_second, columns, millis, percent};

/// What is known where no answer counted.
fn silence(sent: u32, stats: &SenderStats) -> String {
    let SenderStats { rejected, rejected_tags, .. } = *stats;
    if rejected_tags > 0 {
        return format!(
            "no answer was authentic: {sent} packets sent, {rejected_tags} answers with a missing or \
             wrong tag. Have both ends the same key and the same security?\n"
        );
    }
    if rejected > 0 {
        return format!(
            "nothing that came back was an answer: {sent} packets sent, {rejected} datagrams refused\n"
        );
    }
    format!("nothing came back: {sent} packets sent, none answered\n")
}

/// Everything about a window, in a few blocks.
pub(super) fn show(target: &Target, measured: &Measured, figures: &Figures) -> String {
    let window = &measured.window;
    let mut blocks = vec![columns(head(target, measured))];
    if window.counts.received() == 0 {
        let sent = window.counts.sent();
        blocks.push(silence(sent, &measured.stats));
        return blocks.join("\n");
    }
    blocks.push(columns(directions(window, figures)));
    if let Some(rtt) = &figures.rtt_us {
        blocks.push(columns(spread(rtt)));
    }
    blocks.push(columns(how(measured)));
    if let Some(call) = &figures.estimate {
        blocks.push(columns(call_rows(call)));
    }
    blocks.join("\n")
}

fn row<const N: usize>(cells: [String; N]) -> Vec<String> {
    Vec::from(cells)
}

fn head(target: &Target, measured: &Measured) -> Vec<Vec<String>> {
    let (profile, route) = (&target.profile, &measured.route);
    let seconds = measured.duration.as_secs_f64();
    let early = if measured.interrupted { ", ended early" } else { "" };
    let preferred = if measured.socket.preferred { "" } else { " (its class's ports are taken)" };
    let sending = profile.continuous().mean_bits_per_second();
    let line = |name: &str, text: String| row([name.to_owned(), text]);
    vec![
        line("target", format!("{} at {}", target.name, measured.peer)),
        line(
            "from",
            format!(
                "{}{preferred} over {} {} ({})",
                measured.socket.local, route.kind, route.interface, route.prefix
            ),
        ),
        line(
            "sent",
            format!(
                "{}: {} packets/s of {} bytes ({}), DSCP {}, {seconds:.1} s{early}",
                target.profile_name,
                profile.rate(),
                profile.ip_packet_bytes(),
                bits_per_second(sending),
                profile.dscp()
            ),
        ),
        line("asked as", format!("{}, {}", target.peer.name(), target.security.as_str())),
    ]
}

fn directions(window: &Window, figures: &Figures) -> Vec<Vec<String>> {
    let (counts, playout) = (&window.counts, window.playout);
    let sent = counts.sent();
    let arrived = sent - counts.lost_up();
    let three =
        |name: &str, up: String, down: String, both: String| row([name.to_owned(), up, down, both]);
    let lost = |lost: u32, of: u32| format!("{lost} ({})", percent(lost, of));
    let both = format!("{} of {sent} ({})", counts.lost(), percent(counts.lost(), sent));
    let mut rows = vec![
        three("", "up".to_owned(), "down".to_owned(), "both".to_owned()),
        three("lost", lost(counts.lost_up(), sent), lost(counts.lost_down(), arrived), both),
    ];
    if counts.lost_unknown() > 0 {
        let unknown = format!("{} of unknown direction", counts.lost_unknown());
        rows.push(three("", String::new(), String::new(), unknown));
    }
    let burst = window.burst.map_or_else(|| "-".to_owned(), burst);
    rows.push(three("worst 200 ms", String::new(), String::new(), burst));
    let reorder = window.reorder;
    rows.push(three(
        "out of order",
        reorder.up.to_string(),
        reorder.down.to_string(),
        counts.reordered().to_string(),
    ));
    rows.push(three("twice", String::new(), String::new(), counts.duplicated().to_string()));
    rows.push(three(
        "jitter (highest)",
        jitter(window.up_jitter),
        jitter(window.down_jitter),
        String::new(),
    ));
    rows.push(three(
        "variation p50 / p99 / max",
        variation(figures.up_variation_us),
        variation(figures.down_variation_us),
        String::new(),
    ));
    if let Some(one_way) = window.one_way {
        rows.push(three(
            "one way, median",
            millis(one_way.up_median_us),
            millis(one_way.down_median_us),
            format!("± {}", millis(one_way.error_us)),
        ));
    }
    if let Some(playout) = playout {
        rows.push(three(
            &format!("beyond a {} buffer", millis(playout.delay_us)),
            playout.discarded_up.to_string(),
            playout.discarded_down.to_string(),
            String::new(),
        ));
    }
    rows.extend(marking(window));
    rows
}

/// What routers on the way changed.
fn marking(window: &Window) -> Vec<Vec<String>> {
    let (dscp, ecn, ttl) = (&window.dscp, &window.ecn, &window.ttl);
    let seen = |value: Option<String>, changed: u32| match (value, changed) {
        (None, _) => "not told".to_owned(),
        (Some(value), 0) => value,
        (Some(value), changed) => format!("{value} ({changed} changed)"),
    };
    let code = |value: Option<busyhour_model::Dscp>| value.map(|value| value.to_string());
    let bits = |value: Option<Ecn>| value.map(|value| value.as_str().to_owned());
    let hops = |value: Option<u8>| value.map(|value| value.to_string());
    let marked =
        |name: &str, up: String, down: String| row([name.to_owned(), up, down, String::new()]);
    vec![
        marked(
            &format!("DSCP (sent {})", dscp.sent),
            seen(code(dscp.up), dscp.up_changed),
            seen(code(dscp.down), dscp.down_changed),
        ),
        marked(
            &format!("ECN (sent {})", ecn.sent),
            seen(bits(ecn.up), ecn.up_changed),
            seen(bits(ecn.down), ecn.down_changed),
        ),
        marked(
            "hop limit left",
            seen(hops(ttl.up), ttl.up_changes),
            seen(hops(ttl.down), ttl.down_changes),
        ),
    ]
}

fn burst(burst: BurstLoss) -> String {
    format!("{} of {} lost ({})", burst.lost(), burst.of(), percent(burst.lost(), burst.of()))
}

fn jitter(jitter: Option<Jitter>) -> String {
    let text = |jitter: Jitter| format!("{} ({})", millis(jitter.mean_us), millis(jitter.max_us));
    jitter.map_or_else(|| "-".to_owned(), text)
}

fn variation(spread: Option<Spread>) -> String {
    let text = |spread: Spread| {
        format!("{} / {} / {}", millis(spread.p50), millis(spread.p99), millis(spread.max))
    };
    spread.map_or_else(|| "-".to_owned(), text)
}

fn spread(rtt: &Spread) -> Vec<Vec<String>> {
    let titles = ["round trip", "min", "p50", "p90", "p99", "p99.9", "max"];
    let values = [rtt.min, rtt.p50, rtt.p90, rtt.p99, rtt.p999, rtt.max];
    let mut figures = vec![String::new()];
    figures.extend(values.map(millis));
    vec![titles.map(str::to_owned).to_vec(), figures]
}

fn how(measured: &Measured) -> Vec<Vec<String>> {
    let window = &measured.window;
    let line = |name: &str, text: String| row([name.to_owned(), text]);
    let mut rows = vec![
        line(
            "timed by",
            format!(
                "{} when sent, {} when received; sent at most {} late",
                window.sent_by,
                window.received_by,
                millis(window.send_lateness_max_us)
            ),
        ),
        line("own clock", clock(window.clock)),
        line("far clock", window.far_clock.map_or_else(|| "not told".to_owned(), clock)),
    ];
    let tlvs = match window.peer_tlvs {
        Some(true) => "answered: marking, hop limits and counts of the way up are known",
        Some(false) => "not answered: what arrived there is told by its numbers only",
        None => "unknown",
    };
    rows.push(line("extensions", tlvs.to_owned()));
    if let Some(port) = window.seen_source_port.filter(|&port| port != window.source_port) {
        let text =
            format!("port {} arrived as {port}: a translator is on the way", window.source_port);
        rows.push(line("translated", text));
    }
    let not_the_path = [
        (window.receive_queue_drops, "answers dropped by this machine"),
        (window.reflector_drops, "dropped by the reflector"),
        (window.clock_step_samples, "samples across a clock step"),
        (window.implausible_samples, "samples whose times contradict each other"),
        (
            u32::try_from(measured.stats.rejected).unwrap_or(u32::MAX),
            "datagrams that are no answers",
        ),
    ];
    let told = not_the_path.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
    if !told.is_empty() {
        rows.push(line("not the path's", told.join(", ")));
    }
    rows
}

fn clock(clock: ClockQuality) -> String {
    let kept = if clock.synchronized { "synchronised" } else { "not synchronised" };
    match clock.error_us {
        0 => kept.to_owned(),
        error_us => format!("{kept}, off by at most {}", millis(error_us)),
    }
}

fn call_rows(call: &CallFigures) -> Vec<Vec<String>> {
    let of = call.direction.unwrap_or("worst case");
    let line = |name: &str, text: String| row([name.to_owned(), text]);
    let mut rows = vec![
        line(
            "call estimate",
            format!(
                "MOS {:.1}, R {:.0} ({of}; {} from mouth to ear, network by {})",
                call.mos,
                call.r,
                millis(call.delay_us),
                call.delay_basis
            ),
        ),
        line("", call.label.clone()),
    ];
    if !call.flags.is_empty() {
        rows.push(line("", format!("mind: {}", call.flags.join(", "))));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_were_refused_are_not_called_silence() {
        let stats =
            |rejected, rejected_tags| SenderStats { rejected, rejected_tags, ..Default::default() };
        assert!(silence(15, &stats(0, 0)).starts_with("nothing came back: 15 packets"));
        assert!(silence(15, &stats(4, 0)).contains("4 datagrams refused"));
        assert!(silence(15, &stats(15, 15)).contains("the same key"));
    }
}
