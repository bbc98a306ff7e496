//! `conformance FILE.jsonl...`: runs recorded cases and says which fail.

use std::process::ExitCode;

use conformance::Report;

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: conformance FILE.jsonl...");
        return ExitCode::from(2);
    }
    let mut total = Report::default();
    for file in &files {
        match run_file(file) {
            Ok(report) => {
                for (name, reason) in &report.failures {
                    println!("FAILED {name}: {reason}");
                }
                for (suite, count) in &report.unknown_suites {
                    println!("{file}: unknown suite \"{suite}\", {count} cases not run");
                }
                total = total.and(report);
            }
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::from(2);
            }
        }
    }
    println!("{} questions answered by each index that serves them", total.by_index);
    println!("{} passed, {} failed", total.passed, total.failures.len());
    if total.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_file(file: &str) -> Result<Report, Box<dyn std::error::Error>> {
    Ok(conformance::run(&std::fs::read_to_string(file)?)?)
}
