//! The figures of a worst hour and the plain daily average beside it.

use busyhour_model::emodel::mos;
use busyhour_model::{Breach, DailyAverage, WorstHour};
use schemars::JsonSchema;
use serde::Serialize;

use crate::text;

/// What days, buildings and incidents are shown with; all null where nothing was observed.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Figures {
    worst_hour_local: Option<String>,
    worst_hour_valid: Option<u32>,
    worst_hour_bad: Option<u32>,
    worst_hour_bad_ratio: Option<f64>,
    worst_hour_breach: Option<&'static str>,
    /// Windows bad by each limit; one may be bad in several ways.
    worst_hour_bad_loss: Option<u32>,
    worst_hour_bad_burst: Option<u32>,
    worst_hour_bad_delay: Option<u32>,
    worst_hour_bad_jitter: Option<u32>,
    worst_hour_bad_failed: Option<u32>,
    /// The 90th percentile of what is most wrong, in words: `84 ms round trip`.
    worst_hour_says: Option<String>,
    /// The daily average of the same, in words.
    average_says: Option<String>,
    worst_hour_loss_ratio: Option<f64>,
    worst_hour_loss_ratio_p90: Option<f64>,
    worst_hour_rtt_us_p90: Option<u32>,
    worst_hour_jitter_us_p90: Option<u32>,
    worst_hour_reordered: Option<u64>,
    worst_hour_replies: Option<u64>,
    /// `fail` or `pass` where chance does not explain it, else `unknown`.
    worst_hour_reorder: Option<&'static str>,
    /// The rating and score of a call with the reference codec that a tenth of its windows did not
    /// exceed: a planning estimate (MOS-CQE). Null where no window has one.
    worst_hour_estimate_r_p10: Option<f64>,
    worst_hour_estimate_mos_p10: Option<f64>,
    average_loss_ratio: Option<f64>,
    average_rtt_us: Option<u32>,
    average_jitter_us: Option<u32>,
    average_passes: Option<bool>,
    masked: bool,
    masking_factor: Option<f64>,
}

impl Figures {
    pub(super) fn new(
        worst: Option<&WorstHour>,
        average: Option<&DailyAverage>,
        (masked, masking_factor): (bool, Option<f64>),
    ) -> Self {
        let ratio = |ppm: u32| f64::from(ppm) / 1e6;
        let contrast = worst.zip(average).map(|(worst, average)| text::contrast(worst, average));
        let (worst_says, average_says) =
            contrast.map(|contrast| (contrast.worst, contrast.average)).unzip();
        let bad_by = |breach| worst.map(|hour| hour.bad_by(breach));
        let rating = worst.and_then(|hour| hour.rating_p10_hundredths).map(|r| f64::from(r) / 1e2);
        Self {
            worst_hour_says: worst_says,
            average_says,
            worst_hour_local: worst.map(|hour| text::hour_from(hour.start_minute)),
            worst_hour_valid: worst.map(|hour| hour.valid),
            worst_hour_bad: worst.map(|hour| hour.bad),
            worst_hour_bad_ratio: worst.map(text::bad_share),
            worst_hour_breach: worst.and_then(|hour| hour.dominant).map(|breach| breach.as_str()),
            worst_hour_bad_loss: bad_by(Breach::Loss),
            worst_hour_bad_burst: bad_by(Breach::Burst),
            worst_hour_bad_delay: bad_by(Breach::Delay),
            worst_hour_bad_jitter: bad_by(Breach::Jitter),
            worst_hour_bad_failed: bad_by(Breach::Failed),
            worst_hour_loss_ratio: worst.map(|hour| ratio(hour.loss_ppm)),
            worst_hour_loss_ratio_p90: worst.map(|hour| ratio(hour.loss_ppm_p90)),
            worst_hour_rtt_us_p90: worst.map(|hour| hour.rtt_us_p90),
            worst_hour_jitter_us_p90: worst.map(|hour| hour.jitter_us_p90),
            worst_hour_reordered: worst.map(|hour| hour.reordered),
            worst_hour_replies: worst.map(|hour| hour.replies),
            worst_hour_reorder: worst.map(|hour| hour.order.as_str()),
            worst_hour_estimate_r_p10: rating,
            worst_hour_estimate_mos_p10: rating.map(mos),
            average_loss_ratio: average.map(|average| ratio(average.loss_ppm)),
            average_rtt_us: average.map(|average| average.rtt_us),
            average_jitter_us: average.map(|average| average.jitter_us),
            average_passes: average.map(|average| average.passes),
            masked,
            masking_factor,
        }
    }
}

#[cfg(test)]
mod tests {
    use busyhour_model::Judgement;
    use serde_json::{Value, json};

    use super::*;

    fn told(worst: Option<&WorstHour>) -> Value {
        serde_json::to_value(Figures::new(worst, None, (false, None))).unwrap()
    }

    #[test]
    fn the_worst_hour_is_told_by_each_limit_with_its_order_and_its_call() {
        let mut hour = WorstHour {
            start_minute: 600,
            valid: 60,
            bad: 9,
            dominant: Some(Breach::Loss),
            bad_by: [7, 2, 3, 1, 0],
            loss_ppm: 12_000,
            loss_ppm_p90: 20_000,
            rtt_us_p90: 45_000,
            jitter_us_p90: 9_000,
            reordered: 40,
            replies: 44_460,
            order: Judgement::Fail,
            rating_p10_hundredths: Some(6_000),
        };
        let found = told(Some(&hour));
        let by = ["loss", "burst", "delay", "jitter", "failed"]
            .map(|breach| found[format!("worst_hour_bad_{breach}")].clone());
        assert_eq!(by, [json!(7), json!(2), json!(3), json!(1), json!(0)]);
        assert_eq!(found["worst_hour_reordered"], 40);
        assert_eq!(found["worst_hour_replies"], 44_460);
        assert_eq!(found["worst_hour_reorder"], "fail");
        assert_eq!(found["worst_hour_estimate_r_p10"], 60.0);
        assert_eq!(found["worst_hour_estimate_mos_p10"], json!(mos(60.0)));
        hour.rating_p10_hundredths = None;
        assert_eq!(told(Some(&hour))["worst_hour_estimate_mos_p10"], Value::Null);
    }

    #[test]
    fn without_an_hour_nothing_is_told_of_it() {
        let found = told(None);
        let fields = found.as_object().unwrap();
        let told = fields.iter().filter(|(name, _)| name.starts_with("worst_hour"));
        assert!(told.clone().count() > 15 && told.into_iter().all(|(_, value)| value.is_null()));
    }
}
