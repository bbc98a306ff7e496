//! The command line, as clap reads it: every command and flag in one place.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use any_store::FlushMode;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

/// An embedded document database: JSON in one crash-safe file, queried as in MongoDB.
#[derive(Debug, Parser)]
#[command(name = "any-store", version, arg_required_else_help = true)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Say nothing on standard error but errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Colours: where the output is a terminal and NO_COLOR is not set, always, or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
}

const AFTER_HELP: &str = "\
`any-store DB` alone is the shell.

Exit codes: 0 ok, 1 the command failed, 2 usage, 3 the database was not found or cannot be opened,
4 it is damaged, 5 it is busy or locked, 6 wrong or missing key, 130 interrupted.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Import real documents into a new database, query and update them, and show what happens
    Demo(Demo),
    /// Put documents from JSON Lines or a JSON array into a collection
    Import(Import),
    /// Write the documents of a collection as JSON
    Export(Export),
    /// Show the documents that match a filter
    Query(Query),
    /// Count the documents that match a filter
    Count(Count),
    /// Show how a query is run: the plan, its cost and its rivals
    Explain(Explain),
    /// List the collections
    Collections(Collections),
    /// List the indexes of a collection
    Indexes(Indexes),
    /// Show sizes and counts of the database or of one collection
    Stats(Stats),
    /// Check the database for damage
    Check(Check),
    /// Copy the log into the database file, and make everything durable
    Flush(Flush),
    /// Check every byte of the database: headers, pages, free space
    Verify(Verify),
    /// Copy the database into a file of its own, as of one instant
    Backup(Backup),
    /// Lay the database out anew without free space, in its place or in a new file
    Compact(Compact),
    /// Run statements such as db.users.find({age: {$gt: 30}}).sort("-age").limit(5)
    Shell(Shell),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    Auto,
    Always,
    Never,
}

/// How the database is opened.
#[derive(Args, Clone, Debug)]
pub(crate) struct Open {
    /// The database file
    #[arg(value_name = "DB")]
    pub(crate) path: PathBuf,

    /// Wait this many seconds for a database that another process has open
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub(crate) wait: Duration,

    /// Open it although its log is damaged, without the commits behind the damage. A command that
    /// writes keeps the damaged log as DB-wal.damaged-1
    #[arg(long)]
    pub(crate) salvage: bool,
}

/// How a database that is written to is opened.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Durability {
    /// What a commit waits for: `normal` survives a crash of the process, `full` a power loss too
    #[arg(long, value_name = "MODE", default_value = "normal")]
    pub(crate) sync: SyncMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SyncMode {
    Normal,
    Full,
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Keep the database here; the file must not exist. Without it: a temporary folder
    #[arg(value_name = "DB")]
    pub(crate) path: Option<PathBuf>,

    /// Print the origin and the licences of the documents, and nothing else
    #[arg(long)]
    pub(crate) notice: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    #[command(flatten)]
    pub(crate) open: Open,

    #[command(flatten)]
    pub(crate) durability: Durability,

    /// The collection; made if it is not there
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,

    /// JSON Lines, a JSON array, or documents that span lines; `-` or nothing: standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// What to do with a document whose id may be there already
    #[arg(long, value_name = "MODE", default_value = "insert")]
    pub(crate) mode: ImportMode,

    /// Make the collection with this field as primary key (default: id)
    #[arg(long, value_name = "NAME")]
    pub(crate) id_field: Option<String>,

    /// Make the collection so that documents without an id get an ObjectId
    #[arg(long)]
    pub(crate) auto_id: bool,

    /// Documents in one transaction; one MiB of documents ends it too
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) batch: u64,

    /// Go on after bad documents, but after no more than N of them
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) max_errors: u64,

    /// Stop at the first bad document (the default)
    #[arg(long, conflicts_with = "max_errors")]
    pub(crate) stop_on_error: bool,

    /// Do not create the database
    #[arg(long)]
    pub(crate) no_create: bool,

    /// Create the database if it is not there (the default)
    #[arg(long, conflicts_with = "no_create")]
    pub(crate) create: bool,

    /// Import everything in one transaction: all or nothing
    #[arg(long, conflicts_with_all = ["report_batches", "max_errors"])]
    pub(crate) atomic: bool,

    /// After each commit write `committed N` to standard error: N documents are safe now
    #[arg(long)]
    pub(crate) report_batches: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportMode {
    /// Refuse it if it is there
    Insert,
    /// Replace it if it is there, else insert it
    Upsert,
    /// Replace it; refuse it if it is not there
    Replace,
    /// Leave the one that is there alone
    SkipExisting,
}

#[derive(Args, Debug)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) open: Open,

    /// The collection
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,

    /// The file to write; `-` or nothing: standard output
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// One document a line, or one array
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    pub(crate) format: ExportFormat,

    /// Documents that match this filter only
    #[arg(long, value_name = "FILTER")]
    pub(crate) filter: Option<String>,

    /// Order, such as `-age,name` or `{age: -1}`
    #[arg(long, value_name = "SORT", allow_hyphen_values = true)]
    pub(crate) sort: Option<String>,

    /// No more documents than this
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// These fields only, separated by commas; the primary key comes along
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub(crate) fields: Vec<String>,

    /// Canonical extended JSON: every number names its type
    #[arg(long)]
    pub(crate) canonical: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    Jsonl,
    Array,
}

#[derive(Args, Debug)]
pub(crate) struct Query {
    #[command(flatten)]
    pub(crate) open: Open,

    /// The collection
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,

    /// Relaxed JSON, such as `{age: {$gt: 30}}`; nothing: all documents
    #[arg(value_name = "FILTER")]
    pub(crate) filter: Option<String>,

    /// Order, such as `-age,name` or `{age: -1}`
    #[arg(long, value_name = "SORT", allow_hyphen_values = true)]
    pub(crate) sort: Option<String>,

    /// Leave out the first N
    #[arg(long, visible_alias = "offset", value_name = "N")]
    pub(crate) skip: Option<u64>,

    /// No more documents than this
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// Fields to show, such as `{name: 1}`
    #[arg(long, value_name = "PROJECTION")]
    pub(crate) project: Option<String>,

    /// The index to use, `$natural` for none, or boosts such as `{age: 100}`
    #[arg(long, value_name = "INDEX")]
    pub(crate) hint: Option<String>,

    /// Indented, as on a terminal
    #[arg(long, conflicts_with = "json")]
    pub(crate) pretty: bool,

    /// One JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Count {
    #[command(flatten)]
    pub(crate) open: Open,

    /// The collection
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,

    /// Relaxed JSON, such as `{age: {$gt: 30}}`; nothing: all documents
    #[arg(value_name = "FILTER")]
    pub(crate) filter: Option<String>,

    /// The index to use, `$natural` for none, or boosts such as `{age: 100}`
    #[arg(long, value_name = "INDEX")]
    pub(crate) hint: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) open: Open,

    /// The collection
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,

    /// Relaxed JSON, such as `{age: {$gt: 30}}`; nothing: all documents
    #[arg(value_name = "FILTER")]
    pub(crate) filter: Option<String>,

    /// Order, such as `-age,name` or `{age: -1}`
    #[arg(long, value_name = "SORT", allow_hyphen_values = true)]
    pub(crate) sort: Option<String>,

    /// Leave out the first N
    #[arg(long, visible_alias = "offset", value_name = "N")]
    pub(crate) skip: Option<u64>,

    /// No more documents than this
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// Fields to show, such as `{name: 1}`
    #[arg(long, value_name = "PROJECTION", conflicts_with = "count")]
    pub(crate) project: Option<String>,

    /// The index to use, `$natural` for none, or boosts such as `{age: 100}`
    #[arg(long, value_name = "INDEX")]
    pub(crate) hint: Option<String>,

    /// Explain the count of the documents, not the documents
    #[arg(long)]
    pub(crate) count: bool,

    /// Run the query to its end, and show what each stage did
    #[arg(long)]
    pub(crate) analyze: bool,

    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Collections {
    #[command(flatten)]
    pub(crate) open: Open,

    /// One JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Indexes {
    #[command(flatten)]
    pub(crate) open: Open,

    /// The collection
    #[arg(value_name = "COLL")]
    pub(crate) collection: String,

    /// One JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Stats {
    #[command(flatten)]
    pub(crate) open: Open,

    /// This collection only
    #[arg(value_name = "COLL")]
    pub(crate) collection: Option<String>,

    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) open: Open,

    /// Header, catalog and the tops of the trees
    #[arg(long)]
    pub(crate) quick: bool,

    /// Every page, tree and free block (the default)
    #[arg(long)]
    pub(crate) full: bool,

    /// As --full, and every index against the documents
    #[arg(long)]
    pub(crate) cross: bool,

    /// The checksum of every page, read from the disk anew
    #[arg(long)]
    pub(crate) verify: bool,

    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Flush {
    #[command(flatten)]
    pub(crate) open: Open,

    /// How far to go: passive, full, restart or truncate
    #[arg(long, value_name = "MODE", default_value = "passive", value_parser = flush_mode)]
    pub(crate) mode: FlushMode,

    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) open: Open,

    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) open: Open,

    /// The file to make
    #[arg(value_name = "TO")]
    pub(crate) to: PathBuf,

    /// Replace a database that is there; it stays until the backup is complete
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Read the backup back before it gets its name
    #[arg(long)]
    pub(crate) verify: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Compact {
    #[command(flatten)]
    pub(crate) open: Open,

    /// Make a new file and leave the database as it is
    #[arg(long, value_name = "NEW")]
    pub(crate) to: Option<PathBuf>,

    /// Replace a database that is at NEW
    #[arg(long, requires = "to")]
    pub(crate) overwrite: bool,

    /// Read the compacted database back before it gets its name
    #[arg(long)]
    pub(crate) verify: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Shell {
    #[command(flatten)]
    pub(crate) open: Open,

    #[command(flatten)]
    pub(crate) durability: Durability,

    /// Run these statements; may be given several times
    #[arg(long, short, value_name = "STATEMENT", allow_hyphen_values = true)]
    pub(crate) exec: Vec<String>,

    /// Run the statements of this file; may be given several times
    #[arg(long, short, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,

    /// Go on after a statement that failed; the exit code is that of the first failure
    #[arg(long)]
    pub(crate) keep_going: bool,

    /// Create the database if it is not there
    #[arg(long, conflicts_with_all = ["read_only", "no_create"])]
    pub(crate) create: bool,

    /// Do not create the database (the default)
    #[arg(long)]
    pub(crate) no_create: bool,

    /// Refuse statements that write
    #[arg(long)]
    pub(crate) read_only: bool,

    /// `exec` and `file` in the order in which they were given.
    #[arg(skip)]
    pub(crate) scripts: Vec<Script>,
}

/// One text to run, from `-e` or `-f`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Script {
    Text(String),
    File(PathBuf),
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn flush_mode(text: &str) -> Result<FlushMode, String> {
    text.parse().map_err(|_| "expected passive, full, restart or truncate".to_owned())
}

/// Reads the command line. What clap refuses, and `--help` and `--version`, come back as its error.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    let words = with_shell_spelled_out(words.into_iter().collect());
    let matches = Arguments::command().try_get_matches_from(words)?;
    let mut arguments = Arguments::from_arg_matches(&matches)?;
    if let (Command::Shell(shell), Some((_, matches))) =
        (&mut arguments.command, matches.subcommand())
    {
        shell.scripts = scripts(shell, matches);
    }
    Ok(arguments)
}

/// `any-store DB ...` is `any-store shell DB ...`, and long flags may have one dash before `exec`,
/// `help` and `version`, as in the Go tool.
fn with_shell_spelled_out(mut words: Vec<OsString>) -> Vec<OsString> {
    for word in words.iter_mut().skip(1) {
        match word.to_str() {
            Some("-exec") => *word = "--exec".into(),
            Some("-help") => *word = "--help".into(),
            Some("-version") => *word = "--version".into(),
            _ => {}
        }
    }
    let is_shell = match words.get(1).and_then(|word| word.to_str()) {
        Some(word) => is_script_flag(word) || (!word.starts_with('-') && is_path(word)),
        None => words.len() > 1,
    };
    if is_shell {
        words.insert(1, "shell".into());
    }
    words
}

fn is_script_flag(word: &str) -> bool {
    ["-e", "--exec", "-f", "--file"].contains(&word) || word.starts_with("--exec=")
}

/// Not a command, and not the slip of one: there is such a file, or it is written like one.
fn is_path(word: &str) -> bool {
    let is_command = Arguments::command().get_subcommands().any(|sub| sub.get_name() == word);
    let is_like_path = word.contains(['.', '/', '\\']) || Path::new(word).exists();
    !is_command && word != "help" && is_like_path
}

/// `-e` and `-f` in the order in which they were given.
fn scripts(shell: &Shell, matches: &ArgMatches) -> Vec<Script> {
    let places = |id: &str| matches.indices_of(id).into_iter().flatten();
    let texts = places("exec").zip(shell.exec.iter().cloned().map(Script::Text));
    let files = places("file").zip(shell.file.iter().cloned().map(Script::File));
    let mut scripts: Vec<(usize, Script)> = texts.chain(files).collect();
    scripts.sort_by_key(|(place, _)| *place);
    scripts.into_iter().map(|(_, script)| script).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Arguments, clap::Error> {
        parse(["any-store"].iter().chain(words).map(OsString::from))
    }

    fn shell(words: &[&str]) -> Shell {
        match parse_words(words).map(|arguments| arguments.command) {
            Ok(Command::Shell(shell)) => shell,
            other => panic!("{words:?} is {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_path_alone_is_the_shell() {
        assert_eq!(shell(&["no-such.any"]).open.path, Path::new("no-such.any"));
        assert_eq!(shell(&["-e", "x", "a.any"]).scripts, [Script::Text("x".into())]);
        assert_eq!(shell(&["a.any", "-exec", "x"]).scripts, [Script::Text("x".into())]);
    }

    #[test]
    fn a_slip_of_a_command_is_no_path() {
        let error = parse_words(&["improt", "a.any", "users"]).err();
        assert!(error.is_some_and(|error| error.to_string().contains("'import'")));
    }

    #[test]
    fn scripts_keep_their_order() {
        let shell = shell(&["shell", "a.any", "-e", "1", "-f", "x", "-e", "-2"]);
        let expected =
            [Script::Text("1".into()), Script::File("x".into()), Script::Text("-2".into())];
        assert_eq!(shell.scripts, expected);
    }

    #[test]
    fn a_descending_sort_needs_no_equals_sign() {
        let arguments = parse_words(&["query", "a.any", "users", "--sort", "-age"]);
        let Ok(Command::Query(query)) = arguments.map(|arguments| arguments.command) else {
            panic!("not a query");
        };
        assert_eq!(query.sort.as_deref(), Some("-age"));
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        for words in [
            &["import", "a.any", "c", "--create", "--no-create"][..],
            &["import", "a.any", "c", "--batch", "0"],
            &["shell", "a.any", "--create", "--read-only"],
            &["query", "a.any", "c", "--pretty", "--json"],
            &["query", "a.any", "c", "--wait", "-1"],
        ] {
            assert!(parse_words(words).is_err_and(|error| error.exit_code() == 2), "{words:?}");
        }
    }
}
