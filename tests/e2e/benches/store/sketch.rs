//! Sketches of the same values beside each other: what they cost and how far off they are.

use std::collections::BTreeMap;

use busyhour_model::Histogram;

use crate::cost::quantile;
use crate::import::unsigned;
use crate::series::Observed;

/// The shares that are asked for.
const SHARES: [f64; 3] = [0.5, 0.9, 0.99];
/// Windows of a slot.
const SLOT: usize = 15;
/// An error below this says nothing, in microseconds: no figure is published more finely.
const FINEST_US: f64 = 100.0;

/// Values counted in buckets.
struct Sketch {
    buckets: BTreeMap<i32, u64>,
}

/// A family: where a value goes, and what a bucket stands for.
struct Family {
    name: &'static str,
    bucket: fn(u32) -> i32,
    value: fn(i32) -> f64,
}

const FAMILIES: [Family; 4] = [
    Family { name: "log-linear, 32 an octave", bucket: fine, value: fine_value },
    Family { name: "log-linear, as stored", bucket: stored, value: fine_value },
    Family { name: "DDSketch 1 %", bucket: |v| logarithmic(v, 0.01), value: |b| middle(b, 0.01) },
    Family { name: "DDSketch 2 %", bucket: |v| logarithmic(v, 0.02), value: |b| middle(b, 0.02) },
];

fn one(value: u32) -> Histogram {
    let mut histogram = Histogram::new();
    histogram.record(value);
    histogram
}

fn first_bucket(histogram: &Histogram) -> i32 {
    histogram.buckets().first().map_or(0, |&(bucket, _)| bucket.into())
}

fn fine(value: u32) -> i32 {
    first_bucket(&one(value))
}

fn stored(value: u32) -> i32 {
    first_bucket(&one(value).coarsened())
}

fn fine_value(bucket: i32) -> f64 {
    let (from, until) = crate::fields::bounds(bucket as u16);
    (from + until - 1) as f64 / 2.0
}

/// C. Masson, J. E. Rim, H. K. Lee, "DDSketch", VLDB 2019: bucket i holds γ^(i−1) to γ^i.
fn logarithmic(value: u32, error: f64) -> i32 {
    if value == 0 { i32::MIN } else { (f64::from(value).ln() / gamma(error).ln()).ceil() as i32 }
}

fn middle(bucket: i32, error: f64) -> f64 {
    if bucket == i32::MIN {
        return 0.0;
    }
    2.0 * gamma(error).powi(bucket) / (gamma(error) + 1.0)
}

fn gamma(error: f64) -> f64 {
    (1.0 + error) / (1.0 - error)
}

impl Sketch {
    fn of(family: &Family, values: &[u32]) -> Self {
        let mut buckets = BTreeMap::new();
        for &value in values {
            *buckets.entry((family.bucket)(value)).or_default() += 1;
        }
        Self { buckets }
    }

    /// Bytes as gaps and counts of variable length.
    fn bytes(&self) -> usize {
        let mut bytes = Vec::new();
        let mut before = self.buckets.keys().next().copied().unwrap_or(0).max(0);
        unsigned(before as u64, &mut bytes);
        for (&bucket, &count) in &self.buckets {
            unsigned((bucket.max(0) - before) as u64, &mut bytes);
            unsigned(count, &mut bytes);
            before = bucket.max(0);
        }
        bytes.len()
    }

    /// The value at a rank, from 1.
    fn at(&self, family: &Family, rank: u64) -> f64 {
        let mut seen = 0;
        for (&bucket, &count) in &self.buckets {
            seen += count;
            if seen >= rank {
                return (family.value)(bucket);
            }
        }
        f64::NAN
    }
}

/// Prints what each family makes of the round trips of these windows and of their variation.
pub(crate) fn compare(name: &str, windows: &[Observed]) {
    println!("  Sketches, {name}: bytes of a window, of a slot, and the error of p50, p90, p99");
    let trips: Vec<Vec<u32>> = windows
        .iter()
        .map(|window| window.round_trips_us.clone())
        .filter(|trips| !trips.is_empty())
        .collect();
    let variations: Vec<Vec<u32>> = trips
        .iter()
        .map(|trips| {
            let lowest = trips.iter().min().copied().unwrap_or(0);
            trips.iter().map(|trip| trip - lowest).collect()
        })
        .collect();
    for (what, samples) in [("round trips", &trips), ("variation", &variations)] {
        for family in &FAMILIES {
            row(what, family, samples);
        }
    }
}

fn row(what: &str, family: &Family, windows: &[Vec<u32>]) {
    let mean_bytes = |sets: &[Vec<u32>]| {
        let bytes = sets.iter().map(|values| Sketch::of(family, values).bytes());
        bytes.sum::<usize>() as f64 / sets.len().max(1) as f64
    };
    let slots: Vec<Vec<u32>> = windows.chunks(SLOT).map(|chunk| chunk.concat()).collect();
    let mut errors = Vec::new();
    for values in windows.iter().chain(&slots) {
        let sketch = Sketch::of(family, values);
        let mut sorted = values.clone();
        sorted.sort_unstable();
        for share in SHARES {
            let rank = ((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
            let exact = f64::from(sorted[rank - 1]);
            let off = (sketch.at(family, rank as u64) - exact).abs();
            errors.push(if off < FINEST_US { 0.0 } else { off / exact });
        }
    }
    println!(
        "    {what:<12} {:<26} {:>7.0} {:>7.0}   {:>5.1} % at most, {:>5.1} % in 99 of 100",
        family.name,
        mean_bytes(windows),
        mean_bytes(&slots),
        100.0 * quantile(&errors, 1.0),
        100.0 * quantile(&errors, 0.99),
    );
}
