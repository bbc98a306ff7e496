use super::*;

/// A statement as a short text, or where its problem is.
fn summary(statement: &Result<Statement, Problem>) -> String {
    match statement {
        Ok(Statement::Show { what, .. }) => format!("show {what}"),
        Ok(Statement::Help(topic)) => format!("help {topic:?}"),
        Ok(Statement::Exit) => "exit".into(),
        Ok(Statement::Chain(chain)) => {
            let target = match &chain.target {
                Target::Database => "db".to_owned(),
                Target::Collection { name, .. } => format!("[{name}]"),
            };
            let calls = std::iter::once(&chain.first).chain(&chain.rest);
            let calls = calls.map(|call| {
                let arguments: Vec<&str> =
                    call.arguments.iter().map(|literal| literal.json.as_str()).collect();
                format!(" {}({})", call.name, arguments.join(" "))
            });
            target + &calls.collect::<String>()
        }
        Err(problem) => format!("{}: {}", problem.at, problem.message),
    }
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found: Vec<String> = Statements::new(text).map(|(_, found)| summary(&found)).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn calls_are_read_with_their_arguments() {
    check("db.users.find()", &["[users] find()"]);
    check(
        "db.users.find({a: 1}).sort('-a', \"b\").limit(5)",
        &["[users] find({\"a\":1}) sort(\"-a\" \"b\") limit(5)"],
    );
    check(
        "db.createCollection('x', {autoId: true},)",
        &["db createCollection(\"x\" {\"autoId\":true})"],
    );
}

#[test]
fn names_may_be_dotted_or_quoted() {
    check("db.a.b.count()", &["[a.b] count()"]);
    check("db[\"odd; name\"].count()", &["[odd; name] count()"]);
    check("db [ 'x' ] . find ( )", &["[x] find()"]);
    check("db[5].find()", &["3: expected a name in quotes"]);
}

#[test]
fn statements_are_separated_by_semicolons_and_lines() {
    check(
        "db.a.count(); db.b.count()\nshow collections\n\n;;help find;exit // bye",
        &["[a] count()", "[b] count()", "show collections", "help Some(\"find\")", "exit"],
    );
    check(" \n// nothing\n/* at all */ ", &[]);
    check("help\nshow stats", &["help None", "show stats"]);
}

#[test]
fn a_chain_may_go_on_in_the_next_line() {
    check(
        "db.a.find({\n  x: 1, // one\n})\n  .sort('-x') // two\n  .limit(1)\ndb.b.count()",
        &["[a] find({\"x\":1}) sort(\"-x\") limit(1)", "[b] count()"],
    );
}

#[test]
fn after_a_problem_the_next_statement_is_read() {
    check(
        "db.a.find({x: [1,\n tru]}); db.b.count()\ndb.c.nd{\n}\nshw stats\ndb.d.count()",
        &[
            "19: unknown word \"tru\"; did you mean \"true\"?",
            "[b] count()",
            "47: expected `.` or a call, as in db.NAME.find(), found `{`",
            "51: unexpected command \"shw\"; did you mean \"show\"?",
            "[d] count()",
        ],
    );
}

#[test]
fn problems_point_at_their_place() {
    check("db", &["2: expected `.` or a call, as in db.NAME.find(), found the end"]);
    check("db.", &["3: expected a name, found the end"]);
    check("db()", &["2: expected `.` after `db`, found `(`"]);
    check("db.a", &["4: expected `.` or a call, as in db.NAME.find(), found the end"]);
    check("db.a.find() x", &["12: expected `;` or the end of the line, found `x`"]);
    check("db.a.find(1 2)", &["12: expected `,` or `)`, found `2`"]);
    check("db.a.find().sort", &["16: expected `(` after the name of the method, found the end"]);
    check("show", &["4: expected `collections`, `indexes` or `stats` after `show`, found the end"]);
    check("{}", &["0: expected a statement, found `{`"]);
    check("/* open", &["0: the comment is not closed"]);
}

#[test]
fn balance_knows_when_a_statement_is_whole() {
    let open = |lines: &[&str]| {
        let mut balance = Balance::default();
        lines.iter().for_each(|line| balance.feed(line));
        (balance.is_open(), balance.is_terminated())
    };
    assert_eq!(open(&["db.a.find({\n"]), (true, false));
    assert_eq!(open(&["db.a.find({\n", "})\n"]), (false, false));
    assert_eq!(open(&["db.a.find({\n", "});\n"]), (false, true));
    assert_eq!(open(&["db.a.find('{;')\n"]), (false, false));
    assert_eq!(open(&["db.a.find(/[(/]{/)\n"]), (false, false));
    assert_eq!(open(&["x; // {\n"]), (false, true));
    assert_eq!(open(&["/* {\n"]), (true, false));
    assert_eq!(open(&["/* {\n", "*/\n"]), (false, false));
    assert_eq!(open(&[")))\n"]), (false, false));
    assert_eq!(open(&["'open quote\n"]), (false, false));
}

#[test]
fn no_text_makes_the_parser_panic_or_loop() {
    let whole = "db.a[\"b\"].find({x: /[/]/, y: 'q'}).sort(1);\nshow stats;help x\n/*c*/db['\u{e4}'].drop()";
    for (at, _) in whole.char_indices() {
        for noise in ["", "\\", "'", "(", ")", "\u{1F600}", "\0", ";", "\n", "/*", "{"] {
            let text = format!("{}{noise}{}", &whole[..at], &whole[at..]);
            assert!(Statements::new(&text).count() <= text.len());
        }
    }
}
