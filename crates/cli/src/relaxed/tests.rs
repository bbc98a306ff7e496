use any_store::{DateTime, doc};

use super::*;

#[track_caller]
fn json(text: &str) -> String {
    match Literal::parse(text) {
        Ok(literal) => literal.json,
        Err(problem) => panic!("{text}: {problem:?}"),
    }
}

#[track_caller]
fn value(text: &str) -> Value {
    Literal::parse(text).and_then(|literal| literal.value()).unwrap_or_else(|e| panic!("{e:?}"))
}

/// Where the problem is, and what it says.
#[track_caller]
fn problem(text: &str) -> (usize, String) {
    match Literal::parse(text).and_then(|literal| literal.value()) {
        Ok(value) => panic!("{text} is {value}"),
        Err(problem) => (problem.at, problem.message),
    }
}

#[test]
fn strict_json_stays_as_it_is() {
    for text in [
        r#"{"a":1,"b":[true,false,null],"c":{"d":"x\n\u00e4\\\/"}}"#,
        r#"[-1,2.50,1e400,1E-7,9223372036854775807,18446744073709551616]"#,
        r#""\ud83d\ude00""#,
        "{}",
        "[]",
    ] {
        assert_eq!(json(text), text);
    }
}

#[test]
fn keys_quotes_commas_and_comments_are_relaxed() {
    assert_eq!(
        json("{a: 1, $b: 2, c_3: 'x', 4: [1, 2, ], }"),
        r#"{"a":1,"$b":2,"c_3":"x","4":[1,2]}"#
    );
    assert_eq!(json("{ /* one */ a: // two\n 1}"), r#"{"a":1}"#);
    assert_eq!(json(r#"'it\'s "so"'"#), r#""it's \"so\"""#);
    assert_eq!(json("{\u{e4}: 1}"), "{\"\u{e4}\":1}");
}

#[test]
fn escapes_of_javascript_become_those_of_json() {
    assert_eq!(
        json(r"'\x41\u{1F600}\0\v\b\u0041'"),
        "\"\\u0041\u{1F600}\\u0000\\u000b\\b\\u0041\""
    );
    assert_eq!(value(r"'a\0b'"), Value::from("a\0b"));
    assert_eq!(problem(r"'ab\q'"), (3, "unknown escape `\\q`".into()));
    assert_eq!(problem(r"'\u12'"), (1, "expected 4 hexadecimal digits".into()));
    assert_eq!(problem(r"'\u{110000}'"), (1, "expected a code point in braces".into()));
}

#[test]
fn numbers_keep_every_digit() {
    for (text, expected) in [
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9007199254740993", "9007199254740993"),
        ("+5", "5"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("5.", "5.0"),
        ("5.e3", "5.0e3"),
        ("0x10", "16"),
        ("-0x8000000000000000", "-9223372036854775808"),
        ("0x7fffffffffffffff", "9223372036854775807"),
    ] {
        assert_eq!(json(text), expected);
    }
    assert_eq!(value("9007199254740993"), Value::Int64(9_007_199_254_740_993));
    assert_eq!(value("-Infinity"), Value::Double(f64::NEG_INFINITY));
    assert_eq!(value("NaN"), Value::Double(f64::NAN));
}

#[test]
fn numbers_that_are_none_are_refused() {
    for text in ["-", "+", ".", "0x", "0x1g", "0x8000000000000000", "1a", "1.2.3", "--1", "-x"] {
        assert!(Literal::parse(text).and_then(|literal| literal.value()).is_err(), "{text}");
    }
    assert_eq!(problem("[1, 1a]"), (5, "expected the end of the number, found `a`".into()));
}

#[test]
fn constructors_become_wrappers() {
    for (text, expected) in [
        ("ObjectId('66000000005a17c0ffee0000')", r#"{"$oid":"66000000005a17c0ffee0000"}"#),
        ("new ISODate('2020-01-02')", r#"{"$date":"2020-01-02T00:00:00Z"}"#),
        ("ISODate(\"2020-01-02T03:04:05\")", r#"{"$date":"2020-01-02T03:04:05Z"}"#),
        (
            "ISODate(\"2020-01-02 03:04:05.678+02:00\")",
            r#"{"$date":"2020-01-02T03:04:05.678+02:00"}"#,
        ),
        ("Date(5)", r#"{"$date":{"$numberLong":"5"}}"#),
        ("NumberLong(9223372036854775807)", r#"{"$numberLong":"9223372036854775807"}"#),
        ("NumberLong('-1')", r#"{"$numberLong":"-1"}"#),
        ("NumberInt(1)", r#"{"$numberInt":"1"}"#),
        ("BinData(4, 'AAEC')", r#"{"$binary":{"base64":"AAEC","subType":"04"}}"#),
        ("BinData('AAEC')", r#"{"$binary":{"base64":"AAEC","subType":"00"}}"#),
        ("Vector([1, .5])", r#"{"$vector":[1,0.5]}"#),
        ("/a\\/b[/]\\d/i", r#"{"$regularExpression":{"pattern":"a/b[/]\\d","options":"i"}}"#),
        ("RegExp('a')", r#"{"$regularExpression":{"pattern":"a","options":""}}"#),
    ] {
        assert_eq!(json(text), expected);
        value(text);
    }
}

#[test]
fn values_arrive_whole() {
    let parsed = value("{n: 1, s: 'x', l: [1, 2.5, null], o: {t: true}, d: ISODate('1970-01-01')}");
    let expected = doc! {
        "n": 1, "s": "x", "l": [1, 2.5, null], "o": { "t": true }, "d": DateTime::from_ms(0),
    };
    assert_eq!(parsed, Value::Object(expected));
    assert!(matches!(value("ObjectId()"), Value::ObjectId(_)));
    assert!(matches!(value("ISODate()"), Value::DateTime(now) if now.ms() > 1_600_000_000_000));
}

#[test]
fn operators_are_kept_in_queries_and_refused_in_data() {
    let text = "{a: {$gt: 1, $in: [NumberLong(2)]}}";
    let query = Literal::parse(text).and_then(|literal| literal.query_document());
    assert_eq!(query, Ok(doc! { "a": { "$gt": 1, "$in": [2] } }));
    assert_eq!(Literal::parse("5").and_then(|l| l.document()).map_err(|p| p.at), Err(0));
}

#[test]
fn problems_name_the_place_and_the_near_word() {
    assert_eq!(problem("{a: tru}"), (4, "unknown word \"tru\"; did you mean \"true\"?".into()));
    assert_eq!(
        problem("[ObjectID('x')]"),
        (1, "unknown function \"ObjectID\"; did you mean \"ObjectId\"?".into())
    );
    assert_eq!(problem("undefined"), (0, "there is no undefined; use null".into()));
    assert_eq!(problem("{a 1}"), (3, "expected `:` after the key, found `1`".into()));
    assert_eq!(problem("[1 2]"), (3, "expected `,` or `]`, found `2`".into()));
    assert_eq!(problem("{a: 1} x"), (7, "expected nothing after the value, found `x`".into()));
    assert_eq!(problem("{a: /x"), (4, "the regular expression is not closed".into()));
    assert_eq!(problem("'a\nb'"), (0, "the string is not closed on its line".into()));
}

#[test]
fn the_strict_parser_complains_at_the_place_in_the_relaxed_text() {
    // Comments and missing quotes make the two texts differ before the place.
    let (at, message) = problem("{ /* comment */ a: 1, b: [1, {a: 1, a: 2}]}");
    assert_eq!(at, 36);
    assert!(message.contains("duplicate"), "{message}");
    let (at, _) = problem("[1, /* x */ ObjectId('zz')]");
    assert_eq!(at, 12);
    let (at, _) = problem("[1, 007]");
    assert_eq!(at, 4);
}

#[test]
fn an_open_end_is_told_from_a_wrong_one() {
    for text in ["", "{", "{a", "{a:", "{a: [1,", "'abc", "ObjectId(", "/* x"] {
        let problem = Literal::parse(text).err();
        assert!(problem.is_some_and(|problem| problem.unfinished), "{text}");
    }
    assert!(Literal::parse("{a: ]").is_err_and(|problem| !problem.unfinished));
}

#[test]
fn nesting_without_end_is_refused_on_a_small_stack() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let work = move || {
        assert!(Literal::parse(&deep(DEPTH_MAX)).is_ok());
        let problem = Literal::parse(&deep(100_000)).err();
        assert_eq!(problem.map(|problem| problem.at), Some(DEPTH_MAX));
        let wrapped = format!("{}1{}", "Vector([".repeat(100_000), "])".repeat(100_000));
        assert!(Literal::parse(&wrapped).is_err());
    };
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(work);
    assert!(thread.is_ok_and(|thread| thread.join().is_ok()));
}

#[test]
fn no_text_makes_the_rewriter_panic() {
    let whole =
        "{a: [1, -0x1F, 'x\\u{41}'], $b: /r[/]/i, c: new Date('2020-01-01'), /*c*/ \u{e4}: NaN}";
    for (at, _) in whole.char_indices() {
        let _ = Literal::parse(&whole[..at]);
        let _ = Literal::parse(&whole[at..]);
        for noise in ["\\", "'", "(", "\u{1F600}", "\0", "-", "/"] {
            let _ = Literal::parse(&format!("{}{noise}{}", &whole[..at], &whole[at..]));
        }
    }
}
