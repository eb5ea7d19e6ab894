//! Looking through the store, backing it up and bringing it back: commands beside the collector.

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use busyhour_model::{SlotStart, limits_in_force, local_day_span};
use busyhour_store::{
    Act, AuditAction, AuditSubject, Control as _, Progress, Telemetry as _, backup, check, open,
    restore, thin_backups,
};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;

use crate::args::{BackupArgs, DataDirArgs, RejudgeArgs, RestoreArgs};
use crate::run::{raw_config, utc_now};

/// Looks through the store of a collector that does not run.
pub(crate) fn run_check(args: &DataDirArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let directory = data_dir(args)?;
    let bar = Bar::on_terminal();
    let report = check(&directory, &mut |now| bar.show(now));
    bar.clear();
    let report = report.with_context(|| format!("look through {}", directory.display()))?;
    for file in &report.files {
        let (name, size) = (file.file.display(), HumanBytes(file.size_bytes));
        if file.findings.is_empty() {
            writeln!(out, "sound    {name}  {size}")?;
        }
        for finding in &file.findings {
            writeln!(out, "damaged  {name}  {size}  {finding}")?;
        }
    }
    for (file, reason) in &report.set_aside {
        writeln!(out, "aside    {}  {reason}", file.display())?;
    }
    for file in &report.unknown {
        writeln!(out, "unknown  {}", file.display())?;
    }
    if report.is_sound() {
        return Ok(());
    }
    if let Some(unfinished) = report.unfinished {
        bail!("{}: {unfinished}", directory.display());
    }
    let damaged = report.files.iter().filter(|file| !file.findings.is_empty()).count();
    bail!(
        "{damaged} of {} files are damaged or missing; a damaged partition is set aside when the collector \
         reads it, for anything else restore a backup",
        report.files.len()
    )
}

/// Takes a backup, whether the collector runs or not.
pub(crate) fn run_backup(args: &BackupArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let directory = data_dir(&args.data)?;
    let bar = Bar::on_terminal();
    let report = backup(&directory, &args.to, utc_now(), &mut |now| bar.show(now));
    bar.clear();
    let report = report.with_context(|| format!("back up {}", directory.display()))?;
    let (copied, size) = (report.copied, HumanBytes(report.copied_bytes));
    let (to, unchanged) = (report.directory.display(), report.unchanged);
    writeln!(out, "{to}: {copied} files copied ({size}), {unchanged} unchanged")?;
    for file in &report.damaged {
        for finding in &file.findings {
            writeln!(out, "damaged  {}  {finding}", file.file.display())?;
        }
    }
    if let Some(keep) = args.keep {
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        let gone = thin_backups(&args.to, keep).context("delete old backups")?;
        writeln!(out, "{gone} old backups deleted")?;
    }
    if report.damaged.is_empty() {
        return Ok(());
    }
    bail!(
        "{} files are damaged in the data directory; where the backup before has them, this one has \
         them as they were then",
        report.damaged.len()
    )
}

/// Brings a backup back.
pub(crate) fn run_restore(args: &RestoreArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let bar = Bar::on_terminal();
    let by = Act::by_operator(utc_now());
    let restored = restore(&args.from, &args.to, &by, &mut |now| bar.show(now));
    bar.clear();
    let restored = restored.with_context(|| format!("restore {}", args.from.display()))?;
    let (backup, to) = (restored.backup.display(), args.to.display());
    let (files, size) = (restored.files, HumanBytes(restored.bytes));
    writeln!(out, "{backup}: {files} files ({size}) restored into {to}")?;
    Ok(())
}

/// Counts the bad windows of slots again.
pub(crate) fn run_rejudge(args: &RejudgeArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.until < args.from {
        bail!("--until {} is before --from {}", args.until, args.from);
    }
    let beyond = "is beyond the calendar";
    let begin = |date| local_day_span(date, &TimeZone::UTC);
    let (from, _) = begin(args.from).with_context(|| format!("--from {} {beyond}", args.from))?;
    let (_, until) =
        begin(args.until).with_context(|| format!("--until {} {beyond}", args.until))?;
    let (at, _) = begin(args.limits_of)
        .with_context(|| format!("--limits-of {} {beyond}", args.limits_of))?;
    let resolved =
        raw_config(&args.data.config)?.resolve().context("the configuration cannot be used")?;
    let directory = data_dir(&args.data)?;
    if !directory.is_dir() {
        bail!("there is no store in {}", directory.display());
    }
    let (telemetry, control) = open(&directory, resolved.retention)
        .with_context(|| format!("open the store in {}", directory.display()))?;
    let by = Act::by_operator(utc_now());
    let detail = format!("{} to {}, limits of {}", args.from, args.until, args.limits_of);
    // Before it is done: what is cut short is in the audit, too.
    control.note(&by, AuditAction::JudgedAgain, AuditSubject::Store, &detail)?;
    let span = (SlotStart::containing(from), SlotStart::containing(until));
    let changed = telemetry.rejudge(span, &|requirement| limits_in_force(requirement, at))?;
    writeln!(out, "{changed} quarter-hours changed")?;
    Ok(())
}

/// The directory that was named, or else the configured one.
pub(crate) fn data_dir(args: &DataDirArgs) -> anyhow::Result<PathBuf> {
    match &args.data_dir {
        Some(directory) => Ok(directory.clone()),
        None => Ok(raw_config(&args.config)?.data_dir().to_owned()),
    }
}

/// A line on standard error that changes, if that is a terminal; otherwise nothing.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn on_terminal() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        // Indicatif draws on standard error.
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(Some(bar))
    }

    fn show(&self, now: &Progress<'_>) {
        let Some(bar) = &self.0 else { return };
        bar.set_length(now.total_bytes);
        bar.set_position(now.done_bytes);
        bar.set_message(now.file.display().to_string());
    }

    fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
