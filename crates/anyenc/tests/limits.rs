//! Limits, and input made to break them. All on a stack of 512 KiB.

use anyenc::key::{Direction, decode_key, encode_key, encode_key_value, key_len};
use anyenc::{
    DecodeError, Document, DocumentWriter, EncodeError, JsonFormat, Limits, Number, Path,
    RawDocument, RawDocumentBuf, RawValue, Value, doc, parse, parse_document, to_json,
    to_json_pretty, value,
};

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(test).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn nested_json(depth: usize) -> String {
    let (open, close) = (["{\"a\":", "["], ["}", "]"]);
    let opening: String = (0..depth).map(|level| open[level % 2]).collect();
    let closing: String = (0..depth).rev().map(|level| close[level % 2]).collect();
    format!("{opening}1{closing}")
}

#[test]
fn three_hundred_containers_go_through_everything() {
    on_a_small_stack(|| {
        let text = nested_json(300);
        let stored = parse_document(text.as_bytes()).unwrap();
        stored.as_raw().validate().unwrap();
        let raw = RawValue::from(&stored);
        assert_eq!(to_json(&stored, JsonFormat::Relaxed).unwrap(), text);
        let pretty = to_json_pretty(&stored, JsonFormat::Canonical).unwrap();
        assert_eq!(parse_document(pretty.as_bytes()).unwrap(), stored);
        assert!(raw.compare(&raw).unwrap().is_eq());

        let value = raw.to_value().unwrap();
        assert_eq!(value.to_string(), text);
        assert!(format!("{value:?}").contains("Int64(1)"));
        assert_eq!(RawDocumentBuf::from_value(&value).unwrap(), stored);
        assert_eq!(anyenc::to_raw(&value).unwrap(), stored);
        assert_eq!(anyenc::from_raw::<Value>(stored.as_raw()).unwrap(), value);

        let tree: serde_json::Value = anyenc::from_raw(stored.as_raw()).unwrap();
        assert_eq!(anyenc::to_raw(&tree).unwrap(), stored);
        assert_eq!(tree.to_string(), text);
        assert_eq!(serde_json::to_string(&stored).unwrap(), text);

        for direction in [Direction::Ascending, Direction::Descending] {
            let (mut key, mut again) = (Vec::new(), Vec::new());
            encode_key(raw, direction, &mut key).unwrap();
            encode_key_value(&value, direction, &mut again);
            assert_eq!(key, again);
            assert_eq!(decode_key(&key, direction), Ok((value.clone(), key.len())));
            assert_eq!(key_len(&key, direction), Ok(key.len()));
        }
    });
}

#[test]
fn a_container_more_is_refused_everywhere() {
    on_a_small_stack(|| {
        let most = parse(nested_json(300).as_bytes()).unwrap();
        let value = value!([most.clone()]);
        assert_eq!(value.encode_into(&mut Vec::new()), Err(EncodeError::TooDeep { limit: 300 }));
        assert_eq!(anyenc::to_value(&value), Err(EncodeError::TooDeep { limit: 300 }));

        let stored = RawDocumentBuf::from_value(&most).unwrap();
        let mut bytes = Vec::new();
        let mut writer = DocumentWriter::new(&mut bytes);
        writer.begin_array().unwrap();
        let copied = writer.write_raw(RawValue::from(&stored));
        assert_eq!(copied, Err(EncodeError::TooDeep { limit: 300 }));

        let mut key = Vec::new();
        encode_key_value(&value, Direction::Ascending, &mut key);
        assert_eq!(decode_key(&key, Direction::Ascending), Err(DecodeError::TooDeep));
        assert_eq!(key_len(&key, Direction::Ascending), Err(DecodeError::TooDeep));
    });
}

/// Containers in containers, as deep as 16 MiB allow, with the right lengths.
fn bottomless(depth: usize, tag: u8, key: &[u8]) -> Vec<u8> {
    let level = key.len() + 5;
    let mut bytes = Vec::with_capacity(depth * level);
    for inner in (0..depth).rev() {
        bytes.push(tag);
        bytes.extend_from_slice(&u32::try_from(inner * level).unwrap().to_le_bytes());
        if inner > 0 {
            bytes.extend_from_slice(key);
        }
    }
    // The innermost is empty, so one key fewer was written than levels were counted.
    let whole = u32::try_from(bytes.len() - 5).unwrap();
    bytes[1..5].copy_from_slice(&whole.to_le_bytes());
    for level_number in 1..depth {
        let start = level_number * level;
        let rest = u32::try_from(bytes.len() - start - 5).unwrap();
        bytes[start + 1..start + 5].copy_from_slice(&rest.to_le_bytes());
    }
    bytes
}

#[test]
fn hostile_nesting_ends_in_an_error() {
    on_a_small_stack(|| {
        for bytes in [bottomless(1_000_000, 0x14, b""), bottomless(1_000_000, 0x15, b"\x01a")] {
            let value = RawValue::from_bytes(&bytes).unwrap();
            let other = bytes.clone();
            let other = RawValue::from_bytes(&other).unwrap();
            assert_eq!(value.validate(), Err(DecodeError::TooDeep));
            assert_eq!(value.to_value(), Err(DecodeError::TooDeep));
            assert_eq!(value.compare(&other), Err(DecodeError::TooDeep));
            assert_eq!(to_json(value, JsonFormat::Relaxed), Err(DecodeError::TooDeep));
            let mut key = Vec::new();
            assert_eq!(
                encode_key(value, Direction::Descending, &mut key),
                Err(DecodeError::TooDeep)
            );
            assert!(key.is_empty());
            assert!(anyenc::from_raw_value::<serde_json::Value>(value).is_err());
            assert!(anyenc::from_raw_value::<Value>(value).is_err());
            assert!(format!("{value:?} {value}").contains("more than 300 containers"));
            let mut copy = Vec::new();
            let copied = DocumentWriter::new(&mut copy).write_raw(value);
            assert_eq!(copied, Err(EncodeError::TooDeep { limit: 300 }));
        }
        let arrays = [0x50].repeat(1_000_000);
        let objects = [&[0x40][..], &[0x40, 0x00, 0x00].repeat(1_000_000)].concat();
        for key in [arrays, objects] {
            assert_eq!(decode_key(&key, Direction::Ascending), Err(DecodeError::TooDeep));
            assert_eq!(key_len(&key, Direction::Ascending), Err(DecodeError::TooDeep));
        }
    });
}

#[test]
fn lengths_that_lie_allocate_nothing() {
    for tag in 0..=255_u8 {
        let mut bytes = vec![tag, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
        assert!(RawValue::from_bytes(&bytes).is_err());
        assert!(RawDocument::from_bytes(&bytes).is_err());
        bytes[1..5].copy_from_slice(&[3, 0, 0, 0]);
        if let Ok(value) = RawValue::from_bytes(&bytes) {
            let _ = value.validate();
        }
    }
    // Binary data and vectors of four billion bytes, in keys.
    for tag in [0x60, 0x68] {
        assert_eq!(
            decode_key(&[tag, 255, 255, 255, 255, 0], Direction::Ascending),
            Err(DecodeError::Truncated)
        );
    }
}

#[test]
fn a_wide_object_of_a_hundred_thousand_fields_is_searched_not_scanned() {
    let document: Document = (0..100_000).map(|i| (format!("k{i}"), i)).collect();
    let stored = RawDocumentBuf::from_document(&document).unwrap();
    stored.as_raw().validate().unwrap();
    assert_eq!(stored.as_raw().len(), Ok(100_000));
    for i in 0..100_000 {
        assert_eq!(stored.get(&format!("k{i}")), Ok(Some(RawValue::Int64(i64::from(i)))));
    }
    assert_eq!(stored.get("k"), Ok(None));
    assert_eq!(stored.to_document().unwrap(), document);
    assert_eq!(parse_document(stored.to_string().as_bytes()).unwrap(), stored);
}

#[test]
fn a_table_is_there_from_16_fields_on_and_fits() {
    for count in [0, 1, 15, 16, 17, 255, 256, 5000] {
        let document: Document =
            (0..count).map(|i| (format!("{:x}", i * 7919 % 65_537), "x".repeat(i % 20))).collect();
        let stored = RawDocumentBuf::from_document(&document).unwrap();
        stored.as_raw().validate().unwrap();
        let expected_tag = match count {
            0..16 => 0x15,
            16..5000 => 0x16,
            _ => 0x17,
        };
        assert_eq!(stored.as_bytes()[0], expected_tag);
        assert_eq!(stored.as_raw().len(), Ok(document.len()));
        for (key, value) in &document {
            assert_eq!(stored.get(key).unwrap().unwrap().to_value().as_ref(), Ok(value));
            assert_eq!(stored.get(&format!("{key}!")), Ok(None));
        }
    }
}

#[test]
fn what_a_writer_would_not_write_is_not_valid() {
    let stored =
        RawDocumentBuf::from_document(&(0..16).map(|i| (format!("{i:02}"), i)).collect()).unwrap();
    let len = stored.as_bytes().len();
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = stored.as_bytes().to_vec();
        change(&mut bytes);
        RawDocumentBuf::from_bytes(bytes).unwrap_err()
    };
    // The table: two entries exchanged, one twice, one beside a field, one past the end, one missing.
    assert_eq!(broken(&|bytes| bytes.swap(len - 4, len - 6)), DecodeError::BadTable);
    assert_eq!(broken(&|bytes| bytes[len - 4] = bytes[len - 6]), DecodeError::DuplicateKey);
    assert_eq!(broken(&|bytes| bytes[len - 4] += 1), DecodeError::BadTable);
    assert_eq!(broken(&|bytes| bytes[len - 3] = 0xFF), DecodeError::BadTable);
    assert_eq!(broken(&|bytes| bytes[len - 2] = 0xFF), DecodeError::BadTable);
    // A key twice, and a key that is no UTF-8.
    assert_eq!(broken(&|bytes| bytes[7] = b'1'), DecodeError::DuplicateKey);
    assert_eq!(broken(&|bytes| bytes[6] = 0xFF), DecodeError::InvalidUtf8);
    let twice = [0x15, 6, 0, 0, 0, 1, b'a', 1, 1, b'a', 1];
    assert_eq!(RawDocumentBuf::from_bytes(twice.to_vec()), Err(DecodeError::DuplicateKey));
    let short_key_as_long = [0x15, 7, 0, 0, 0, 255, 1, 0, 0, 0, b'a', 1];
    assert_eq!(
        RawDocumentBuf::from_bytes(short_key_as_long.to_vec()),
        Err(DecodeError::NotCanonical)
    );
    let few_with_a_table = [0x16, 7, 0, 0, 0, 1, b'a', 1, 0, 0, 1, 0];
    assert_eq!(RawDocumentBuf::from_bytes(few_with_a_table.to_vec()), Err(DecodeError::BadTable));
    let reserved = [0x15, 6, 0, 0, 0, 4, b'$', b'o', b'i', b'd', 1];
    assert_eq!(RawDocumentBuf::from_bytes(reserved.to_vec()), Err(DecodeError::ReservedKey));
    assert_eq!(RawDocumentBuf::from_bytes(vec![0x14, 0, 0, 0, 0]), Err(DecodeError::NotADocument));
    assert_eq!(
        RawDocumentBuf::from_bytes(vec![0x15, 0, 0, 0, 0, 0]),
        Err(DecodeError::TrailingBytes)
    );
    assert_eq!(RawDocumentBuf::from_bytes(vec![]), Err(DecodeError::Truncated));
}

#[test]
fn no_writer_takes_a_key_twice_or_one_that_is_reserved() {
    for repeated in [3, 100] {
        let mut bytes = Vec::new();
        let mut writer = DocumentWriter::new(&mut bytes);
        writer.begin_object().unwrap();
        let mut last = Ok(());
        for i in (0..=repeated).chain([repeated]) {
            last = last.and_then(|()| writer.key(&i.to_string())).and_then(|()| writer.null());
        }
        let ended = last.and_then(|()| writer.end_object());
        assert_eq!(ended, Err(EncodeError::DuplicateKey(repeated.to_string())));
    }
    let refused = RawDocumentBuf::from_document(&doc! { "a": [{ "$date": 5 }] });
    assert_eq!(refused, Err(EncodeError::ReservedKey("$date".to_owned())));
    assert!(RawDocumentBuf::from_document(&doc! { "a": 1, "$date": 5 }).is_ok());
}

#[test]
fn a_writer_refuses_what_is_no_value() {
    let mut bytes = Vec::new();
    let mut writer = DocumentWriter::new(&mut bytes);
    assert!(writer.key("a").is_err());
    assert!(writer.end_object().is_err());
    writer.begin_object().unwrap();
    assert!(writer.null().is_err());
    assert!(writer.end_array().is_err());
    let mut writer = DocumentWriter::new(&mut bytes);
    writer.begin_object().unwrap();
    writer.key("a").unwrap();
    assert!(writer.key("b").is_err());
    assert!(writer.end_object().is_err());
    assert!(DocumentWriter::new(&mut bytes).finish().is_err());
    let mut writer = DocumentWriter::new(&mut bytes);
    writer.begin_array().unwrap();
    writer.begin_object().unwrap();
    assert!(writer.end_array().is_err());
    assert!(writer.begin_array().is_err());
    writer.end_object().unwrap();
    assert!(writer.key("a").is_err());
    writer.end_array().unwrap();
    writer.finish().unwrap();
    let mut writer = DocumentWriter::new(&mut bytes);
    writer.null().unwrap();
    assert!(writer.null().is_err());
    writer.finish().unwrap();
}

#[test]
fn what_a_writer_refused_it_did_not_write() {
    let mut bytes = Vec::new();
    let mut writer =
        DocumentWriter::with_limits(&mut bytes, Limits { document_bytes: 60, depth: 1 });
    writer.begin_object().unwrap();
    assert_eq!(writer.key("$oid"), Err(EncodeError::ReservedKey("$oid".to_owned())));
    for key in ["a", "b"] {
        writer.key(key).unwrap();
        assert!(writer.key("c").is_err());
        assert!(writer.begin_array().is_err());
        assert!(writer.string(&"x".repeat(60)).is_err());
        assert!(writer.end_object().is_err());
        writer.null().unwrap();
        assert_eq!(writer.key("a"), Err(EncodeError::DuplicateKey("a".to_owned())));
    }
    writer.end_object().unwrap();
    writer.finish().unwrap();
    let document = RawDocument::from_bytes(&bytes).unwrap();
    document.validate().unwrap();
    assert_eq!(document.to_string(), r#"{"a":null,"b":null}"#);

    let mut writer = DocumentWriter::new(&mut bytes);
    writer.begin_object().unwrap();
    for i in (0..50).chain([30]) {
        writer.key(&i.to_string()).unwrap();
        writer.null().unwrap();
    }
    assert_eq!(writer.end_object(), Err(EncodeError::DuplicateKey("30".to_owned())));
    assert!(writer.end_object().is_err() && writer.null().is_err() && writer.key("x").is_err());
    assert!(writer.finish().is_err());
}

#[test]
fn a_limit_of_ones_own_holds() {
    let limits = Limits { document_bytes: 20, depth: 2 };
    let mut bytes = b"before".to_vec();
    let mut writer = DocumentWriter::with_limits(&mut bytes, limits);
    assert_eq!(writer.string(&"x".repeat(16)), Err(EncodeError::TooLarge { limit: 20 }));
    writer.begin_array().unwrap();
    writer.begin_array().unwrap();
    assert_eq!(writer.begin_array(), Err(EncodeError::TooDeep { limit: 2 }));
    assert_eq!(writer.vector(&[0.0; 3]), Err(EncodeError::TooLarge { limit: 20 }));
    writer.end_array().unwrap();
    writer.end_array().unwrap();
    writer.finish().unwrap();
    assert_eq!(bytes.len(), 16);
}

#[test]
fn a_number_is_changed_in_place() {
    let fields = (0..20).map(|i| (format!("k{i}"), value!({ "n": [i, { "d": 0.5 }] })));
    let document: Document = fields.collect();
    let mut stored = RawDocumentBuf::from_document(&document).unwrap();
    let before = stored.as_bytes().len();
    let path = |text| Path::parse(text).unwrap();
    assert_eq!(stored.set_number(&path("k7.n.0"), Number::Int64(-1)), Ok(true));
    assert_eq!(stored.set_number(&path("k8.n.1.d"), Number::Int64(5)), Ok(true));
    for nothing in ["k7", "k7.n", "k7.n.x", "k7.n.00", "k7.n.5", "k99", "k8.n.1.d.x"] {
        assert_eq!(stored.set_number(&path(nothing), Number::Int64(-1)), Ok(false), "{nothing}");
    }
    stored.as_raw().validate().unwrap();
    assert_eq!(stored.as_bytes().len(), before);
    let read = |text| stored.as_raw().get_path(&path(text)).unwrap();
    assert_eq!(read("k7.n.0"), Some(RawValue::Int64(-1)));
    assert_eq!(read("k8.n.1.d"), Some(RawValue::Int64(5)));
    assert_eq!(read("k9.n.0"), Some(RawValue::Int64(9)));
}

#[test]
fn the_most_and_more_than_that() {
    let room = Limits::DEFAULT.document_bytes - 12;
    let most = RawDocumentBuf::from_document(&doc! { "a": "x".repeat(room) }).unwrap();
    assert_eq!(most.as_bytes().len(), Limits::DEFAULT.document_bytes);
    assert!(RawDocumentBuf::from_bytes(most.into_bytes()).is_ok());
    let more = RawDocumentBuf::from_document(&doc! { "a": "x".repeat(room + 1) });
    assert_eq!(more, Err(EncodeError::TooLarge { limit: Limits::DEFAULT.document_bytes }));
    // Copied by themselves, and valid in every other way.
    let mut bytes = Vec::new();
    RawValue::String(&"x".repeat(room + 1)).encode_into(&mut bytes);
    let mut large = vec![0x15, 0, 0, 0, 0, 1, b'a'];
    large.extend_from_slice(&bytes);
    let len = u32::try_from(large.len() - 5).unwrap();
    large[1..5].copy_from_slice(&len.to_le_bytes());
    assert_eq!(RawDocumentBuf::from_bytes(large), Err(DecodeError::TooLarge));
}
