//! What the planner asks of a filter, case by case.

use super::*;

fn parse(text: &str) -> Filter {
    Filter::from_json(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_condition_follows_from_one_that_allows_less() {
    for (filter, partial) in [
        ("{}", "{}"),
        (r#"{"a":1}"#, r#"{"$comment":"x"}"#),
        (r#"{"a":7}"#, r#"{"a":{"$gte":5}}"#),
        (r#"{"a":7}"#, r#"{"a":7.0}"#),
        (r#"{"a":7}"#, r#"{"a":{"$in":[7,8]}}"#),
        (r#"{"a":7}"#, r#"{"a":{"$type":"number"}}"#),
        (r#"{"a":7}"#, r#"{"a":{"$mod":[2,1]}}"#),
        (r#"{"a":7}"#, r#"{"a":{"$bitsAllSet":6}}"#),
        (r#"{"a":{"$in":[7,8]}}"#, r#"{"a":{"$gt":5,"$lt":9}}"#),
        (r#"{"a":{"$in":["ab","cb"]}}"#, r#"{"a":{"$regex":"b$"}}"#),
        (r#"{"a":{"$gt":5,"$lt":9}}"#, r#"{"a":{"$gte":5}}"#),
        (r#"{"a":{"$gt":5}}"#, r#"{"a":{"$type":["number","string"]}}"#),
        (r#"{"a":{"$type":"int"}}"#, r#"{"a":{"$type":["int","long"]}}"#),
        (r#"{"a":"abc"}"#, r#"{"a":{"$regex":"^ab"}}"#),
        (r#"{"a":{"$gte":"ab","$lt":"ac"}}"#, r#"{"a":{"$lt":"b"}}"#),
        (r#"{"a":null}"#, r#"{"a":{"$in":[1,null]}}"#),
        (r#"{"a":{"$all":[1,7]}}"#, r#"{"a":{"$gt":5}}"#),
        (r#"{"a":{"$all":[]}}"#, r#"{"a":{"$gt":5}}"#),
        (r#"{"a":{"$elemMatch":{"$gt":5,"$lt":9}}}"#, r#"{"a":{"$gt":3}}"#),
        (r#"{"a":{"$elemMatch":{"$gt":5,"$lt":9}}}"#, r#"{"a":{"$type":"array"}}"#),
        (r#"{"a":{"$size":2}}"#, r#"{"a":{"$type":"array"}}"#),
        (r#"{"a":{"$gt":1}}"#, r#"{"a":{"$exists":true}}"#),
        (r#"{"a":{"$ne":null}}"#, r#"{"a":{"$exists":true}}"#),
        (r#"{"a":{"$size":0}}"#, r#"{"a":{"$exists":true}}"#),
        (r#"{"a":{"$ne":1},"b":2}"#, r#"{"a":{"$ne":1}}"#),
        (r#"{"a":{"$exists":false}}"#, r#"{"a":{"$exists":false}}"#),
        (r#"{"b":1,"$or":[{"a":1},{"a":2}]}"#, r#"{"$or":[{"a":1},{"a":2}]}"#),
        (r#"{"$and":[{"a":1},{"$nor":[{"b":1}]}]}"#, r#"{"$nor":[{"b":1}],"a":{"$lt":2}}"#),
    ] {
        assert!(parse(filter).implies(&parse(partial)), "{filter} gives {partial}");
    }
}

#[test]
fn what_does_not_follow_from_one_condition_does_not_follow() {
    for (filter, partial) in [
        ("{}", r#"{"a":{"$exists":true}}"#),
        (r#"{"a":5}"#, r#"{"a":{"$gt":5}}"#),
        (r#"{"a":5}"#, r#"{"b":5}"#),
        (r#"{"a.b":5}"#, r#"{"a":{"$exists":true}}"#),
        // A document may hold 7.0, which is a double.
        (r#"{"a":7}"#, r#"{"a":{"$type":"int"}}"#),
        (r#"{"a":{"$gt":5}}"#, r#"{"a":{"$gt":6}}"#),
        (r#"{"a":{"$gt":5}}"#, r#"{"a":{"$lt":"x"}}"#),
        (r#"{"a":{"$in":[5,7]}}"#, r#"{"a":{"$gt":5}}"#),
        (r#"{"a":{"$in":[1,null]}}"#, r#"{"a":{"$exists":true}}"#),
        (r#"{"a":null}"#, r#"{"a":{"$type":"null"}}"#),
        (r#"{"a":null}"#, r#"{"a":{"$exists":true}}"#),
        (r#"{"a.b":{"$ne":null}}"#, r#"{"a.b":{"$exists":true}}"#),
        // [1,9] satisfies both with different elements.
        (r#"{"a":{"$gt":5,"$lt":3}}"#, r#"{"a":{"$elemMatch":{"$gt":5,"$lt":3}}}"#),
        (r#"{"a":5}"#, r#"{"a":{"$ne":6}}"#),
        (r#"{"a":{"$ne":5}}"#, r#"{"a":{"$nin":[5]}}"#),
        (r#"{"a":{"$exists":false}}"#, r#"{"a":null}"#),
        // A stored regular expression ^abc is a match of the one and not of the other.
        (r#"{"a":{"$regex":"^abc"}}"#, r#"{"a":{"$gte":"abc"}}"#),
        // The array [[5]] has no element 5; it is an element that has one.
        (r#"{"a.0":{"$elemMatch":{"$eq":5}}}"#, r#"{"a.0":5}"#),
        (r#"{"a":1}"#, r#"{"$or":[{"a":1},{"b":1}]}"#),
        (r#"{"$or":[{"a":1},{"b":1}]}"#, r#"{"a":1}"#),
        (r#"{"$nor":[{"a":1},{"b":1}]}"#, r#"{"$nor":[{"a":1}]}"#),
    ] {
        assert!(!parse(filter).implies(&parse(partial)), "{filter} does not give {partial}");
    }
}

#[test]
fn a_filter_demands_a_value_where_no_document_without_one_matches() {
    for (filter, path) in [
        (r#"{"a":1}"#, "a"),
        (r#"{"a":{"$exists":true}}"#, "a"),
        (r#"{"a":{"$ne":null}}"#, "a"),
        (r#"{"a":{"$nin":[1,null]}}"#, "a"),
        (r#"{"a":{"$not":{"$eq":null}}}"#, "a"),
        (r#"{"a":{"$not":{"$exists":false}}}"#, "a"),
        (r#"{"a":{"$lt":"x"}}"#, "a"),
        (r#"{"a":{"$type":"null"}}"#, "a"),
        (r#"{"a.b":1}"#, "a"),
        (r#"{"a.b.0":1}"#, "a.b"),
        (r#"{"a":{"$elemMatch":{"b":1}}}"#, "a.b"),
        (r#"{"a":{"$elemMatch":{"b":1}}}"#, "a"),
        (r#"{"$or":[{"a":1},{"a":{"$gt":5},"b":null}]}"#, "a"),
        (r#"{"$and":[{"b":1},{"a":[]}]}"#, "a"),
        (r#"{"a":{"$in":[]}}"#, "a"),
    ] {
        assert!(parse(filter).implies_present(path), "{filter} demands {path}");
    }
    for (filter, path) in [
        ("{}", "a"),
        (r#"{"a":null}"#, "a"),
        (r#"{"a":{"$in":[1,null]}}"#, "a"),
        (r#"{"a":{"$gte":null}}"#, "a"),
        (r#"{"a":{"$ne":1}}"#, "a"),
        (r#"{"a":{"$exists":false}}"#, "a"),
        (r#"{"a":1}"#, "a.b"),
        (r#"{"a.b":{"$ne":null}}"#, "a.b"),
        (r#"{"a":{"$elemMatch":{"b":null}}}"#, "a.b"),
        (r#"{"$or":[{"a":1},{"b":1}]}"#, "a"),
        (r#"{"$nor":[{"a":null}]}"#, "a"),
        (r#"{"a.0":1}"#, "a.0"),
    ] {
        assert!(!parse(filter).implies_present(path), "{filter} does not demand {path}");
    }
}

fn disjuncts(text: &str) -> Vec<Vec<String>> {
    let unions = parse(text).disjunctions();
    unions.iter().map(|union| union.iter().map(ToString::to_string).collect()).collect()
}

#[test]
fn each_or_that_must_hold_gives_a_union() {
    assert_eq!(disjuncts(r#"{"$or":[{"a":1},{"b":1}]}"#), [[r#"{"a":1}"#, r#"{"b":1}"#]]);
    assert_eq!(
        disjuncts(r#"{"c":3,"$and":[{"$or":[{"a":1},{"c":1}]},{"d":4}]}"#),
        [[r#"{"c":3,"$and":[{"d":4}],"a":1}"#, r#"{"c":3,"$and":[{"d":4},{"c":1}]}"#]]
    );
    assert_eq!(
        disjuncts(r#"{"$and":[{"$or":[{"a":1},{"b":1}]},{"$or":[{"c":1},{}]}]}"#),
        [
            [
                r#"{"$and":[{"$or":[{"c":1},{}]}],"a":1}"#,
                r#"{"$and":[{"$or":[{"c":1},{}]}],"b":1}"#
            ],
            [
                r#"{"$and":[{"$or":[{"a":1},{"b":1}]}],"c":1}"#,
                r#"{"$and":[{"$or":[{"a":1},{"b":1}]}]}"#
            ],
        ]
    );
    for none in ["{}", r#"{"a":1}"#, r#"{"$nor":[{"$or":[{"a":1},{"b":1}]}]}"#] {
        assert!(disjuncts(none).is_empty(), "{none}");
    }
}

#[test]
fn an_or_of_many_branches_is_not_taken_apart() {
    let or = |count: usize| {
        let branches: Vec<Document> =
            (0..count).map(|n| Document::from([("a", n as i64)])).collect();
        Document::from([("$or", branches)])
    };
    let unions = |filter: Document| Filter::from_document(&filter).unwrap().disjunctions();
    assert_eq!(unions(or(64)).concat().len(), 64);
    assert!(unions(or(65)).is_empty());
    assert_eq!(unions(Document::from([("$and", vec![or(65), or(2)])])).concat().len(), 2);
    assert_eq!(unions(Document::from([("$and", vec![or(2); 9])])).len(), 8);
    assert!(unions(Document::from([("$and", vec![or(2); 600])])).is_empty());
}

#[test]
fn the_shape_is_the_form_and_not_the_values() {
    let shape = |text| parse(text).shape();
    for (one, other) in [
        (r#"{"a":1}"#, r#"{"a":2.5}"#),
        (r#"{"a":{"$gt":1,"$lt":"x"}}"#, r#"{"a":{"$lt":"y","$gt":7}}"#),
        (r#"{"a":{"$in":[1,"x",2]}}"#, r#"{"a":{"$in":["y","z",3.5]}}"#),
        (r#"{"$or":[{"a":1},{"b":"x"}]}"#, r#"{"$or":[{"b":"y"},{"a":2}]}"#),
        (r#"{"a":{"$regex":"^ab"}}"#, r#"{"a":{"$regex":"^x"}}"#),
        (r#"{"a":{"$size":1},"$comment":"x"}"#, r#"{"a":{"$size":2}}"#),
        (r#"{"a":{"$elemMatch":{"b":1}}}"#, r#"{"a":{"$elemMatch":{"b":2}}}"#),
    ] {
        assert_eq!(shape(one), shape(other), "{one} and {other}");
    }
    let different = [
        "{}",
        r#"{"a":1}"#,
        r#"{"b":1}"#,
        r#"{"a":"x"}"#,
        r#"{"a":{"$gt":1}}"#,
        r#"{"a":{"$gte":1}}"#,
        r#"{"a":{"$not":{"$gte":1}}}"#,
        r#"{"a":{"$elemMatch":{"$gte":1}}}"#,
        r#"{"a":{"$in":[1]}}"#,
        r#"{"a":{"$in":[1,"x"]}}"#,
        r#"{"a":{"$exists":true}}"#,
        r#"{"a":{"$exists":false}}"#,
        r#"{"a":{"$type":"string"}}"#,
        r#"{"a":{"$type":"int"}}"#,
        r#"{"a":{"$regex":"^ab"}}"#,
        r#"{"a":{"$regex":"ab"}}"#,
        r#"{"$and":[{"a":1}]}"#,
        r#"{"$or":[{"a":1}]}"#,
        r#"{"$or":[{"a":1},{"a":1}]}"#,
        r#"{"$and":[{"a":1},{"b":1}]}"#,
        r#"{"$and":[{"a":1,"b":1}]}"#,
    ];
    let mut shapes: Vec<u64> = different.iter().map(|text| shape(text)).collect();
    shapes.sort_unstable();
    shapes.dedup();
    assert_eq!(shapes.len(), different.len());
}

#[test]
fn the_shape_of_a_filter_never_changes() {
    let shapes = ["{}", r#"{"a.b":{"$gt":1},"$or":[{"c":"x"},{"d":{"$in":[1,null]}}]}"#];
    assert_eq!(
        shapes.map(|text| parse(text).shape()),
        [0xba09_43e8_b94a_ed0d, 0x12d0_3be2_a49d_c53d]
    );
}

#[test]
fn conditions_are_counted_by_how_much_their_kind_leaves_out() {
    for (filter, exact, partial, negative) in [
        ("{}", 0, 0, 0),
        (r#"{"$comment":"x"}"#, 0, 0, 0),
        (r#"{"a":1,"b":{"$in":[1,2]}}"#, 2, 0, 0),
        (r#"{"a":{"$gte":1,"$lt":2}}"#, 0, 2, 0),
        (r#"{"a":{"$ne":1},"b":{"$exists":true}}"#, 0, 0, 2),
        (r#"{"$and":[{"a":1},{"b":{"$regex":"x"}}],"c":{"$not":{"$gt":1}}}"#, 1, 1, 1),
        (r#"{"$or":[{"a":1,"b":2},{"c":{"$gt":1}}]}"#, 0, 1, 0),
        (r#"{"$or":[{"a":1},{"b":{"$gt":1},"c":2}]}"#, 1, 0, 0),
        (r#"{"$nor":[{"a":1},{"b":2}]}"#, 0, 0, 1),
        (r#"{"a":{"$elemMatch":{"b":1,"c":{"$lt":2}}}}"#, 1, 1, 0),
        (r#"{"a":{"$elemMatch":{"$gt":1,"$ne":3}}}"#, 0, 1, 1),
    ] {
        let expected = Strictness { exact, partial, negative };
        assert_eq!(parse(filter).strictness(), expected, "{filter}");
    }
}
