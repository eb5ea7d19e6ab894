//! Windows in the forms that VictoriaMetrics imports: a sample for each field and each occupied
//! bucket. Buckets are not cumulative and say their bounds in the label `vmrange`, as VictoriaMetrics'
//! own histograms do, so that its quantiles work on them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use busyhour_store::JudgedWindow;

use crate::fields::{DISTRIBUTIONS, FIELDS, bounds};

/// What a request may hold, in bytes.
const BODY_BYTES: usize = 4 * 1024 * 1024;
/// Paths of one building.
pub(crate) const BUILDING_PATHS: usize = 10;

/// The forms of import that are fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Prometheus' text, a line for each sample.
    Text,
    /// InfluxDB's line protocol, one line for all fields of a window.
    Influx,
    /// VictoriaMetrics' own blocks of one series each.
    Native,
}

impl Form {
    pub(crate) const ALL: [Self; 3] = [Self::Text, Self::Influx, Self::Native];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Text => "Prometheus text",
            Self::Influx => "InfluxDB lines",
            Self::Native => "native blocks",
        }
    }

    pub(crate) const fn endpoint(self) -> &'static str {
        match self {
            Self::Text => "/api/v1/import/prometheus",
            Self::Influx => "/write",
            Self::Native => "/api/v1/import/native",
        }
    }
}

/// A request in the making.
pub(crate) struct Body {
    form: Form,
    bytes: Vec<u8>,
    labels: String,
    series: Series,
    pub(crate) windows: u64,
    pub(crate) samples: u64,
}

impl Body {
    pub(crate) fn new(form: Form) -> Self {
        let mut bytes = Vec::with_capacity(BODY_BYTES + BODY_BYTES / 4);
        if form == Form::Native {
            // From the lowest to the highest time, the sign in the lowest bit: nothing is filtered.
            bytes.extend_from_slice(&u64::MAX.to_be_bytes());
            bytes.extend_from_slice(&(u64::MAX - 1).to_be_bytes());
        }
        let (labels, series) = (String::new(), Series::default());
        Self { form, bytes, labels, series, windows: 0, samples: 0 }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= BODY_BYTES
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds windows of one path in the order of time.
    pub(crate) fn add(&mut self, path: usize, windows: &[JudgedWindow]) {
        self.windows += windows.len() as u64;
        match self.form {
            Form::Text => windows.iter().for_each(|window| self.text(path, window)),
            Form::Influx => windows.iter().for_each(|window| self.influx(path, window)),
            Form::Native => self.native(path, windows),
        }
    }

    fn text(&mut self, path: usize, window: &JudgedWindow) {
        let at_ms = window.placed.0 / 1_000;
        let labels = &mut self.labels;
        labels.clear();
        let _ = write!(labels, "building=\"{}\",path=\"{path}\"", path / BUILDING_PATHS);
        for (name, value) in FIELDS {
            let Some(value) = value(window) else { continue };
            let _ = writeln!(self.bytes, "bh_{name}{{{labels}}} {value} {at_ms}");
            self.samples += 1;
        }
        for (name, of) in DISTRIBUTIONS {
            for &(bucket, count) in of(&window.window).buckets() {
                let (from, until) = bounds(bucket);
                let _ = writeln!(
                    self.bytes,
                    "bh_{name}_bucket{{{labels},vmrange=\"{from}...{until}\"}} {count} {at_ms}"
                );
                self.samples += 1;
            }
        }
    }

    fn influx(&mut self, path: usize, window: &JudgedWindow) {
        let at_ns = window.placed.0 * 1_000;
        let labels = &mut self.labels;
        labels.clear();
        let _ = write!(labels, "building={},path={path}", path / BUILDING_PATHS);
        let _ = write!(self.bytes, "bh,{labels} ");
        let mut separator = "";
        for (name, value) in FIELDS {
            let Some(value) = value(window) else { continue };
            let _ = write!(self.bytes, "{separator}{name}={value}");
            separator = ",";
            self.samples += 1;
        }
        let _ = writeln!(self.bytes, " {at_ns}");
        for (name, of) in DISTRIBUTIONS {
            for &(bucket, count) in of(&window.window).buckets() {
                let (from, until) = bounds(bucket);
                let _ = writeln!(
                    self.bytes,
                    "bh_{name},{labels},vmrange={from}...{until} bucket={count} {at_ns}"
                );
                self.samples += 1;
            }
        }
    }

    fn native(&mut self, path: usize, windows: &[JudgedWindow]) {
        let labels =
            [("building", (path / BUILDING_PATHS).to_string()), ("path", path.to_string())];
        for (name, value) in FIELDS {
            self.series.clear();
            for window in windows {
                if let Some(value) = value(window) {
                    self.series.push(window.placed.0 / 1_000, value);
                }
            }
            self.samples += self.series.times.len() as u64;
            let name = format!("bh_{name}");
            self.series.write(&name, &labels, &mut self.bytes);
        }
        for (name, of) in DISTRIBUTIONS {
            let mut buckets: BTreeMap<u16, Series> = BTreeMap::new();
            for window in windows {
                for &(bucket, count) in of(&window.window).buckets() {
                    let series = buckets.entry(bucket).or_default();
                    series.push(window.placed.0 / 1_000, count as i64);
                }
            }
            let name = format!("bh_{name}_bucket");
            for (bucket, series) in &buckets {
                let (from, until) = bounds(*bucket);
                let [building, path] = labels.clone();
                let labels = [building, path, ("vmrange", format!("{from}...{until}"))];
                self.samples += series.times.len() as u64;
                series.write(&name, &labels, &mut self.bytes);
            }
        }
    }

    /// Adds one series by itself, in native form.
    pub(crate) fn add_series(&mut self, name: &str, labels: &[(&str, String)], series: &Series) {
        assert!(self.form == Form::Native, "series are told whole in native form");
        self.samples += series.times.len() as u64;
        series.write(name, labels, &mut self.bytes);
    }
}

/// The samples of one series, times in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Series {
    times: Vec<i64>,
    values: Vec<i64>,
}

/// How a block's numbers are written: all the same; or differences.
const CONSTANT: u8 = 3;
const DIFFERENCES: u8 = 6;
/// The most samples in a block.
const BLOCK_SAMPLES: usize = 8_000;

impl Series {
    pub(crate) fn push(&mut self, at_ms: i64, value: i64) {
        self.times.push(at_ms);
        self.values.push(value);
    }

    fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
    }

    /// The blocks as VictoriaMetrics exports and imports them between versions: the name, then times
    /// and values as variable-length integers.
    fn write(&self, name: &str, labels: &[(&str, String)], into: &mut Vec<u8>) {
        let texts = labels.iter().flat_map(|(name, value)| [*name, value.as_str()]);
        let mut series = Vec::with_capacity(64);
        for text in std::iter::once(name).chain(texts) {
            // No text here holds one of the three lowest octets, which would be escaped.
            series.extend_from_slice(text.as_bytes());
            series.push(1);
        }
        let mut block = Vec::new();
        for (times, values) in
            self.times.chunks(BLOCK_SAMPLES).zip(self.values.chunks(BLOCK_SAMPLES))
        {
            block.clear();
            let (Some(&first), Some(&value)) = (times.first(), values.first()) else { continue };
            signed(first, &mut block);
            signed(value, &mut block);
            unsigned(times.len() as u64, &mut block);
            signed(0, &mut block); // the power of ten
            let [(times_as, times), (values_as, values)] = [coded(times), coded(values)];
            block.extend_from_slice(&[times_as, values_as]);
            for bytes in [times, values] {
                unsigned(bytes.len() as u64, &mut block);
                block.extend_from_slice(&bytes);
            }
            for bytes in [&series, &block] {
                into.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
                into.extend_from_slice(bytes);
            }
        }
    }
}

fn coded(numbers: &[i64]) -> (u8, Vec<u8>) {
    let mut bytes = Vec::new();
    if numbers.windows(2).all(|pair| pair[0] == pair[1]) {
        return (CONSTANT, bytes);
    }
    for pair in numbers.windows(2) {
        signed(pair[1].wrapping_sub(pair[0]), &mut bytes);
    }
    (DIFFERENCES, bytes)
}

/// A number in groups of seven bits, the lowest first.
pub(crate) fn unsigned(mut number: u64, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// The same with the sign in the lowest bit.
pub(crate) fn signed(number: i64, into: &mut Vec<u8>) {
    unsigned((number << 1 ^ number >> 63) as u64, into);
}
