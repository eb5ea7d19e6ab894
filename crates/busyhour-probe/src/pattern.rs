//! How losses lie: runs, bursts and gaps (RFC 3611), and the worst of all spans of a length.

use busyhour_model::{BurstLoss, LossPattern};

/// So many packets without loss end a burst (RFC 3611 section 4.7.2 recommends 16).
const GMIN: u32 = 16;

/// Counts runs and bursts. A burst begins and ends with a lost packet and has fewer than [`GMIN`]
/// packets between any two; a single loss with that much around it belongs to the gap.
pub(crate) fn loss_pattern(lost: impl Iterator<Item = bool>) -> LossPattern {
    let mut pattern = LossPattern::default();
    // The burst that goes on: its packets up to its last loss, and its losses.
    let (mut packets, mut losses) = (0, 0);
    let mut since_loss = GMIN;
    for is_lost in lost {
        if !is_lost {
            since_loss = since_loss.saturating_add(1);
            continue;
        }
        pattern.runs += u32::from(losses == 0 || since_loss > 0);
        if since_loss < GMIN {
            packets += since_loss + 1;
            losses += 1;
        } else {
            end_burst(&mut pattern, packets, losses);
            (packets, losses) = (1, 1);
        }
        since_loss = 0;
    }
    end_burst(&mut pattern, packets, losses);
    pattern
}

fn end_burst(pattern: &mut LossPattern, packets: u32, losses: u32) {
    if losses > 1 {
        pattern.bursts += 1;
        pattern.burst_packets += packets;
        pattern.burst_lost += losses;
    }
}

/// One packet: when it was sent, in nanoseconds, and whether it was lost.
pub(crate) type Sent = (i64, bool);

/// Which spans are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spans {
    /// How long each is, in nanoseconds. It begins with a packet.
    pub(crate) length: i64,
    /// It must end after this.
    pub(crate) after: i64,
    /// It must have ended by then.
    pub(crate) until: i64,
    /// A span with fewer packets does not count: a sender that was held up must not turn one lost
    /// packet into "all".
    pub(crate) fewest: u32,
}

/// The span that lost the highest share, of packets in the order of sending.
pub(crate) fn worst_span(
    sent: impl Iterator<Item = Sent> + Clone,
    spans: &Spans,
) -> Option<BurstLoss> {
    let mut ahead = sent.clone().peekable();
    let (mut of, mut lost) = (0, 0);
    let mut worst: Option<BurstLoss> = None;
    for (first, first_lost) in sent {
        let end = first.saturating_add(spans.length);
        if end > spans.until {
            break;
        }
        while let Some((_, is_lost)) = ahead.next_if(|&(at, _)| at < end) {
            of += 1;
            lost += u32::from(is_lost);
        }
        if end > spans.after && of >= spans.fewest.max(1) {
            let found = BurstLoss::new(lost, of).ok();
            worst = found.filter(|&f| worst.is_none_or(|w| is_worse(f, w))).or(worst);
        }
        of -= 1;
        lost -= u32::from(first_lost);
    }
    worst
}

/// True when `a` lost a higher share than `b`.
fn is_worse(a: BurstLoss, b: BurstLoss) -> bool {
    u64::from(a.lost()) * u64::from(b.of()) > u64::from(b.lost()) * u64::from(a.of())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(pattern: &str) -> Vec<bool> {
        pattern.chars().map(|letter| letter == 'x').collect()
    }

    fn check(pattern: &str, [runs, bursts, burst_packets, burst_lost]: [u32; 4]) {
        let found = loss_pattern(packets(pattern).into_iter());
        assert_eq!(found, LossPattern { runs, bursts, burst_packets, burst_lost }, "{pattern}");
    }

    #[test]
    fn bursts_end_where_sixteen_packets_arrive() {
        let (fifteen, sixteen) = (".".repeat(15), ".".repeat(16));
        check("....", [0, 0, 0, 0]);
        check("..x..", [1, 0, 0, 0]);
        check("..xx..", [1, 1, 2, 2]);
        check(&format!("x{fifteen}x"), [2, 1, 17, 2]);
        check(&format!("x{sixteen}x"), [2, 0, 0, 0]);
        check(&format!("xxx{sixteen}x.x.x"), [4, 2, 8, 6]);
        check("xxxx", [1, 1, 4, 4]);
    }

    /// One packet each 20 ms, spans of 200 ms.
    fn worst(pattern: &str, fewest: u32) -> Option<(u32, u32)> {
        let times = (0..).map(|slot| slot * 20);
        let sent: Vec<Sent> = times.zip(packets(pattern)).collect();
        let until = pattern.len() as i64 * 20;
        let spans = Spans { length: 200, after: 0, until, fewest };
        worst_span(sent.iter().copied(), &spans).map(|worst| (worst.lost(), worst.of()))
    }

    #[test]
    fn the_worst_span_slides() {
        assert_eq!(worst("....................", 8), Some((0, 10)));
        assert_eq!(worst("........xx.x........", 8), Some((3, 10)));
        assert_eq!(worst("x.........x.........", 8), Some((1, 10)));
        assert_eq!(worst("xxxxxxxxxxxxxxxxxxxx", 8), Some((10, 10)));
        assert_eq!(worst(".........", 1), None, "shorter than a span");
        assert_eq!(worst("....................", 11), None);
    }

    #[test]
    fn only_spans_that_end_in_the_window_count() {
        let sent = (0..40).map(|slot| (slot * 20, slot < 5 || slot == 30));
        let spans = Spans { length: 200, after: 400, until: 800, fewest: 8 };
        let worst = worst_span(sent, &spans).unwrap();
        assert_eq!((worst.lost(), worst.of()), (1, 10));
    }
}
