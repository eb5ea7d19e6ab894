//! Slots.

use busyhour_model::{BurstLoss, LimitsVersion, Slot, SlotStart, UtcMicros, WorstBurst};

use super::{Decoded, Decoder, Encoder};

const VERSION: u8 = 1;

/// Encodes all of a slot but its beginning, which is in the key.
pub(crate) fn encode_slot(slot: &Slot) -> Vec<u8> {
    let mut out = Encoder::with_version(VERSION);
    out.uint(slot.limits.0);
    for count in [slot.expected, slot.valid, slot.invalid, slot.bad] {
        out.uint(count);
    }
    for count in slot.bad_by {
        out.uint(count);
    }
    for count in [
        slot.sent,
        slot.lost_up,
        slot.lost_down,
        slot.lost_unknown,
        slot.reordered,
        slot.duplicated,
        slot.dscp_up_changed,
        slot.dscp_down_changed,
    ] {
        out.uint(count);
    }
    for histogram in [
        &slot.rtt_us,
        &slot.up_variation_us,
        &slot.down_variation_us,
        &slot.loss_ppm,
        &slot.jitter_us,
    ] {
        out.histogram(histogram);
    }
    out.option(slot.worst_burst, |out, worst| {
        out.uint(worst.burst.lost());
        out.uint(worst.burst.of());
        out.delta(worst.window.0, slot.start.start().0);
    });
    out.into_bytes()
}

pub(crate) fn decode_slot(bytes: &[u8], start: SlotStart) -> Decoded<Slot> {
    let from = &mut Decoder::of_version(bytes, VERSION, "slot")?;
    let slot = Slot {
        start,
        limits: LimitsVersion(from.u32()?),
        expected: from.u32()?,
        valid: from.u32()?,
        invalid: from.u32()?,
        bad: from.u32()?,
        bad_by: [from.u32()?, from.u32()?, from.u32()?, from.u32()?, from.u32()?],
        sent: from.uint()?,
        lost_up: from.uint()?,
        lost_down: from.uint()?,
        lost_unknown: from.uint()?,
        reordered: from.uint()?,
        duplicated: from.uint()?,
        dscp_up_changed: from.uint()?,
        dscp_down_changed: from.uint()?,
        rtt_us: from.histogram()?,
        up_variation_us: from.histogram()?,
        down_variation_us: from.histogram()?,
        loss_ppm: from.histogram()?,
        jitter_us: from.histogram()?,
        worst_burst: from.option(|from| {
            let (lost, of) = (from.u32()?, from.u32()?);
            let burst = BurstLoss::new(lost, of).map_err(|_| from.error())?;
            Ok(WorstBurst { burst, window: UtcMicros(from.delta(start.start().0)?) })
        })?,
    };
    from.finish(slot)
}
