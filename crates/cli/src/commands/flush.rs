//! `any-store flush`: everything that was committed into the file, and durable.

use any_store::{CheckpointReport, Document, doc};

use super::stats::number;
use crate::args::Flush;
use crate::failure::Failure;
use crate::figures;
use crate::open::{Access, with_database};
use crate::output::Output;

pub(crate) fn run(flush: &Flush) -> Result<(), Failure> {
    with_database(&flush.open, Access::Write { create: false }, None, |database| {
        let report = database.flush(flush.mode)?;
        let mut output = Output::stdout();
        if flush.json {
            output.line(&document(&report).to_string())?;
        } else {
            write(&report, &mut output)?;
        }
        output.flush()
    })
}

fn write(report: &CheckpointReport, output: &mut Output) -> Result<(), Failure> {
    let extent = if report.is_complete { "all commits are in the file" } else { "in part" };
    let log = match report {
        CheckpointReport { log_truncated: true, .. } => "cut to nothing",
        CheckpointReport { log_restarted: true, .. } => "starts anew",
        _ => "is kept",
    };
    let frames = format!(
        "{} of {} page images copied",
        figures::count(report.frames_copied),
        figures::count(report.log_frames)
    );
    output.line(&format!("flush {}: {extent}", report.mode))?;
    output.line(&format!("log     {frames}, {log}"))?;
    output.line(&format!("pages   {} written", figures::count(report.pages_copied)))?;
    output.line(&format!("commit  {}", figures::count(report.upto.0)))
}

fn document(report: &CheckpointReport) -> Document {
    doc! {
        "mode": report.mode.to_string(),
        "complete": report.is_complete,
        "logFrames": number(report.log_frames),
        "framesCopied": number(report.frames_copied),
        "pagesCopied": number(report.pages_copied),
        "logRestarted": report.log_restarted,
        "logTruncated": report.log_truncated,
        "commit": number(report.upto.0),
    }
}
