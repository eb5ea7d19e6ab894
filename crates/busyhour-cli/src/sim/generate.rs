//! Writes a simulated fleet, region by region, so that the largest fits into memory.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, bail};
use busyhour_sim::export;
use busyhour_sim::score::Ground;
use busyhour_sim::world::{Plan, RegionRecord, World};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{GenerateArgs, truth_file};

/// Slots of a day are much alike: higher levels save little and take long.
const ZSTD_LEVEL: i32 = 3;

pub(super) fn run(args: &GenerateArgs) -> anyhow::Result<()> {
    let plan = Plan {
        hardness: args.fleet,
        mechanisms: args.mechanisms,
        buildings: args.buildings,
        first: args.first,
        days: args.days,
        sampling: args.sampling,
        absent_days: args.absent,
        ..Plan::new(args.seed)
    };
    let world = World::new(&plan).context("make a fleet of this plan")?;
    make_folder(&args.folder)?;
    let mut files = Files::create(&args.folder, args.plain)?;
    let bar = progress_bar(world.regions().into());
    let mut ground: Option<Ground> = None;
    for number in 0..world.regions() {
        let region = world.region(number);
        files.write(&region).with_context(|| format!("write region {number}"))?;
        let part = Ground::of_region(&region, plan.first, plan.days);
        match &mut ground {
            None => ground = Some(part),
            Some(ground) => ground.append(part),
        }
        bar.inc(1);
    }
    files.finish().context("end the files")?;
    bar.finish_and_clear();
    let ground = ground.context("a fleet has at least one region")?;
    // Last, so that a folder with a truth is whole.
    truth_file::write(&args.folder, &plan, &ground)?;
    eprintln!(
        "{} buildings, {} series, {} days, {} truths in {}",
        ground.buildings.len(),
        ground.series.len(),
        ground.days,
        ground.truths.len(),
        args.folder.display()
    );
    Ok(())
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("create {shown}"))?;
    let mut entries = fs::read_dir(folder).with_context(|| format!("look into {shown}"))?;
    if entries.next().is_some() {
        bail!("{shown} is not empty: name a new folder, or empty this one");
    }
    Ok(())
}

/// The files of a fleet.
struct Files {
    buildings: BufWriter<File>,
    series: BufWriter<File>,
    load: BufWriter<File>,
    slots: Slots,
    /// Rows of one building or series, before they are written.
    rows: String,
}

/// Where slots go.
enum Slots {
    Plain(BufWriter<File>),
    Compressed(zstd::Encoder<'static, BufWriter<File>>),
}

impl Files {
    fn create(folder: &Path, plain: bool) -> anyhow::Result<Self> {
        let create = |name: &str| {
            let file = File::create_new(folder.join(name));
            file.map(BufWriter::new).with_context(|| format!("create {name}"))
        };
        let slots = if plain {
            Slots::Plain(create("slots.csv")?)
        } else {
            let encoder = zstd::Encoder::new(create("slots.csv.zst")?, ZSTD_LEVEL);
            let mut encoder = encoder.context("begin to compress slots")?;
            encoder.include_checksum(true).context("set up compression")?;
            Slots::Compressed(encoder)
        };
        let mut files = Self {
            buildings: create("buildings.csv")?,
            series: create("series.csv")?,
            load: create("load.csv")?,
            slots,
            rows: String::new(),
        };
        files.buildings.write_all(export::BUILDINGS_HEADER.as_bytes())?;
        files.series.write_all(export::SERIES_HEADER.as_bytes())?;
        files.load.write_all(export::LOAD_HEADER.as_bytes())?;
        files.slots.write(export::SLOTS_HEADER)?;
        Ok(files)
    }

    fn write(&mut self, region: &RegionRecord) -> std::io::Result<()> {
        let rows = &mut self.rows;
        rows.clear();
        export::buildings(region, rows);
        self.buildings.write_all(rows.as_bytes())?;
        rows.clear();
        export::series(region, rows);
        self.series.write_all(rows.as_bytes())?;
        for building in &region.buildings {
            rows.clear();
            export::loads(building, rows);
            self.load.write_all(rows.as_bytes())?;
        }
        for series in &region.series {
            rows.clear();
            export::slots(series, rows);
            self.slots.write(rows)?;
        }
        Ok(())
    }

    fn finish(mut self) -> std::io::Result<()> {
        self.buildings.flush()?;
        self.series.flush()?;
        self.load.flush()?;
        match self.slots {
            Slots::Plain(mut file) => file.flush(),
            Slots::Compressed(encoder) => encoder.finish()?.flush(),
        }
    }
}

impl Slots {
    fn write(&mut self, rows: &str) -> std::io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(rows.as_bytes()),
            Self::Compressed(encoder) => encoder.write_all(rows.as_bytes()),
        }
    }
}

fn progress_bar(regions: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(regions), ProgressDrawTarget::stderr());
    let style = "regions {pos}/{len} {wide_bar} {percent:>3} %  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}
