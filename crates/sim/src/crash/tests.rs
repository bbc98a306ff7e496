use super::*;
use crate::disk::{Change, SyncEffect};
use std::collections::BTreeSet;

/// Two files at rest, `/d/a` of four sectors of `a` and `/d/b` of two sectors of `b`.
fn base() -> Disk {
    let mut image = Image::empty();
    image.put("/d/a", &[b'a'; 2048]);
    image.put("/d/b", &[b'b'; 1024]);
    Disk::from_image(&image)
}

fn write(disk: &mut Disk, file: FileNo, offset: u64, bytes: &[u8]) {
    edit(disk, file, Edit::Write { offset, bytes: bytes.into() });
}

fn edit(disk: &mut Disk, file: FileNo, edit: Edit) {
    disk.apply(&Change::Edit { file, edit });
}

/// One letter for each sector of a file: what all of its bytes are, or `?` for a mixture.
fn letters(image: &Image, path: &str) -> String {
    let Some(bytes) = image.get(path) else { return "(none)".to_owned() };
    let letter = |sector: &[u8]| match sector[0] {
        first if sector.iter().any(|byte| *byte != first) => '?',
        0 => '0',
        first => char::from(first),
    };
    bytes.chunks(512).map(letter).collect()
}

/// What `crash` can leave of both files, over many seeds.
fn outcomes(disk: &Disk, crash: Crash) -> BTreeSet<String> {
    let outcome = |seed| {
        let image = crash.image(disk, &mut Rng::new(seed));
        format!("{} {}", letters(&image, "/d/a"), letters(&image, "/d/b"))
    };
    (0..2000).map(outcome).collect()
}

fn set(members: &[&str]) -> BTreeSet<String> {
    members.iter().map(|member| (*member).to_owned()).collect()
}

#[test]
fn a_kill_keeps_and_a_power_loss_may_drop() {
    let mut disk = base();
    write(&mut disk, 1, 512, &[b'x'; 1024]);
    assert_eq!(outcomes(&disk, Crash::Kill), set(&["axxa bb"]));
    assert_eq!(outcomes(&disk, Crash::DropAll), set(&["aaaa bb"]));
    assert_eq!(outcomes(&disk, Crash::KeepAll), set(&["axxa bb"]));
}

#[test]
fn what_was_synced_survives_every_crash() {
    let mut disk = base();
    write(&mut disk, 1, 512, &[b'x'; 1024]);
    disk.apply(&Change::Sync { file: 1, effect: SyncEffect::Persist });
    for crash in Crash::ALL {
        assert_eq!(outcomes(&disk, crash), set(&["axxa bb"]), "{crash}");
    }
}

#[test]
fn a_prefix_follows_the_order_of_calls_over_all_files() {
    let mut disk = base();
    write(&mut disk, 1, 0, &[b'x'; 1024]);
    write(&mut disk, 2, 0, &[b'y'; 512]);
    write(&mut disk, 1, 1536, &[b'z'; 512]);
    let expected = set(&["aaaa bb", "xaaa bb", "xxaa bb", "xxaa yb", "xxaz yb"]);
    assert_eq!(outcomes(&disk, Crash::Prefix), expected);
}

#[test]
fn sectors_survive_one_by_one_and_one_may_be_zero() {
    let mut disk = base();
    write(&mut disk, 2, 0, &[b'y'; 1024]);
    let expected = ["bb", "by", "yb", "yy", "0b", "0y", "b0", "y0"].map(|b| format!("aaaa {b}"));
    for percent in [10, 50, 90] {
        let found = outcomes(&disk, Crash::Sectors { percent });
        assert_eq!(found, expected.clone().into(), "{percent} %");
    }
}

#[test]
fn the_share_of_surviving_sectors_is_the_one_asked_for() {
    for percent in [10, 50, 90] {
        let mut disk = base();
        write(&mut disk, 1, 0, &[b'x'; 512_000]);
        let image = Crash::Sectors { percent }.image(&disk, &mut Rng::new(5));
        let kept = letters(&image, "/d/a").matches('x').count();
        let expected = 10 * usize::from(percent);
        assert!(kept.abs_diff(expected) < 60, "{kept} of 1000 sectors at {percent} %");
    }
}

#[test]
fn a_torn_partial_sector_leaves_its_neighbours_alone() {
    let mut disk = base();
    write(&mut disk, 2, 100, &[b'y'; 8]);
    let queue = Queue::of(&disk);
    let torn = Fate::Each { percent: 0, torn: Some(0) };
    let bytes = queue.survivors(&[torn], &mut Rng::new(1)).get("/d/b").unwrap_or_default();
    assert_eq!(&bytes[99..109], b"b\0\0\0\0\0\0\0\0b");
    assert_eq!(bytes.iter().filter(|byte| **byte == 0).count(), 8);
}

#[test]
fn two_writes_to_one_sector_leave_the_old_the_first_or_the_second() {
    let mut disk = base();
    write(&mut disk, 2, 0, &[b'x'; 512]);
    write(&mut disk, 2, 0, &[b'y'; 512]);
    let found = outcomes(&disk, Crash::Sectors { percent: 50 });
    assert_eq!(found, set(&["aaaa bb", "aaaa xb", "aaaa yb", "aaaa 0b"]));
}

#[test]
fn a_length_change_is_all_or_nothing_and_may_overtake_a_write() {
    let mut disk = base();
    write(&mut disk, 2, 512, &[b'y'; 512]);
    edit(&mut disk, 2, Edit::SetLen(512));
    edit(&mut disk, 2, Edit::Allocate(1536));
    let found = outcomes(&disk, Crash::Sectors { percent: 50 });
    let expected = ["bb", "by", "b0", "b", "bb0", "by0", "b00"].map(|b| format!("aaaa {b}"));
    assert_eq!(found, expected.into());
}

#[test]
fn one_file_whole_and_the_others_not_at_all() {
    let mut disk = base();
    write(&mut disk, 1, 0, &[b'x'; 512]);
    write(&mut disk, 2, 0, &[b'y'; 512]);
    write(&mut disk, 1, 512, &[b'z'; 512]);
    assert_eq!(outcomes(&disk, Crash::OneFile), set(&["xzaa bb", "aaaa yb"]));
}

#[test]
fn only_the_last_sector_of_the_newest_write_is_damaged() {
    let mut disk = base();
    write(&mut disk, 2, 0, &[b'y'; 512]);
    write(&mut disk, 1, 0, &[b'x'; 700]);
    edit(&mut disk, 2, Edit::SetLen(512));
    let image = Crash::NewestZero.image(&disk, &mut Rng::new(1));
    let bytes = image.get("/d/a").unwrap_or_default();
    assert_eq!(letters(&image, "/d/b"), "y");
    assert!(bytes[..512].iter().all(|byte| *byte == b'x'));
    assert!(bytes[512..700].iter().all(|byte| *byte == 0));
    assert!(bytes[700..].iter().all(|byte| *byte == b'a'));

    let image = Crash::NewestGarbage.image(&disk, &mut Rng::new(1));
    let noise = image.get("/d/a").unwrap_or_default();
    assert_eq!(noise[..512], bytes[..512]);
    assert_eq!(noise[700..], bytes[700..]);
    let distinct: BTreeSet<&u8> = noise[512..700].iter().collect();
    assert!(distinct.len() > 50, "noise is not constant");
}

#[test]
fn lengths_may_survive_without_their_bytes() {
    let mut disk = base();
    write(&mut disk, 1, 0, &[b'x'; 512]);
    write(&mut disk, 2, 512, &[b'y'; 1536]);
    assert_eq!(outcomes(&disk, Crash::LengthOnly), set(&["aaaa bb00"]));
}

/// A disk on which `/d/c` was created and written and `/d/a` was renamed to `/d/e`.
fn with_names_pending() -> Disk {
    let mut disk = base();
    disk.apply(&Change::Create { file: 3, path: Some("/d/c".into()) });
    write(&mut disk, 3, 0, b"new");
    disk.apply(&Change::Rename { from: "/d/a".into(), to: "/d/e".into() });
    disk
}

fn names(image: &Image) -> String {
    let name = |(path, len): (&std::path::Path, u64)| format!("{}:{len}", path.display());
    image.files().map(name).collect::<Vec<_>>().join(" ")
}

fn name_outcomes(disk: &Disk, crash: Crash) -> BTreeSet<String> {
    (0..500).map(|seed| names(&crash.image(disk, &mut Rng::new(seed)))).collect()
}

#[test]
fn names_may_be_lost_alone_or_all_together_while_bytes_survive() {
    let disk = with_names_pending();
    let expected =
        set(&["/d/a:2048 /d/b:1024", "/d/b:1024 /d/e:2048", "/d/a:2048 /d/b:1024 /d/c:3"]);
    assert_eq!(name_outcomes(&disk, Crash::NamesLost), expected);
}

#[test]
fn names_may_survive_while_bytes_are_lost() {
    let disk = with_names_pending();
    let expected = set(&["/d/b:1024 /d/c:0 /d/e:2048"]);
    assert_eq!(name_outcomes(&disk, Crash::NamesOnly), expected);
}

#[test]
fn a_removed_file_comes_back_until_the_directory_is_synced() {
    let mut disk = base();
    disk.apply(&Change::Remove { path: "/d/a".into() });
    assert_eq!(names(&Crash::Kill.image(&disk, &mut Rng::new(1))), "/d/b:1024");
    assert_eq!(names(&Crash::DropAll.image(&disk, &mut Rng::new(1))), "/d/a:2048 /d/b:1024");
    disk.apply(&Change::SyncDir { dir: "/d".into(), effect: SyncEffect::Persist });
    for crash in Crash::ALL {
        assert_eq!(names(&crash.image(&disk, &mut Rng::new(1))), "/d/b:1024", "{crash}");
    }
}

#[test]
fn what_a_failed_sync_lost_is_gone_even_if_everything_is_kept() {
    let mut disk = base();
    write(&mut disk, 2, 0, &[b'y'; 512]);
    disk.apply(&Change::Sync { file: 2, effect: SyncEffect::LoseKeepCache });
    write(&mut disk, 2, 512, &[b'z'; 512]);
    assert_eq!(outcomes(&disk, Crash::KeepAll), set(&["aaaa bz"]));
    assert_eq!(outcomes(&disk, Crash::Kill), set(&["aaaa yz"]));
}

#[test]
fn a_temporary_file_never_survives() {
    let mut disk = base();
    disk.apply(&Change::Create { file: 3, path: None });
    write(&mut disk, 3, 0, b"secret");
    for crash in Crash::ALL {
        assert_eq!(crash.image(&disk, &mut Rng::new(3)).files().count(), 2, "{crash}");
    }
}

#[test]
fn keeping_everything_by_fates_equals_the_short_way() {
    let mut disk = with_names_pending();
    write(&mut disk, 2, 300, &[b'q'; 5000]);
    edit(&mut disk, 2, Edit::Punch { offset: 100, len: 900 });
    let queue = Queue::of(&disk);
    let (keep, drop) = (queue.map(|_| Fate::Keep), queue.map(|_| Fate::Drop));
    let rng = &mut Rng::new(1);
    assert_eq!(queue.survivors(&keep, rng), Crash::KeepAll.image(&disk, rng));
    assert_eq!(queue.survivors(&drop, rng), Crash::DropAll.image(&disk, rng));
    let by_sector = queue.map(|pending| match pending.sector_count() {
        0 => Fate::Keep,
        _ => Fate::Each { percent: 100, torn: None },
    });
    assert_eq!(queue.survivors(&by_sector, rng), Crash::KeepAll.image(&disk, rng));
}

#[test]
fn every_way_to_crash_has_a_name_that_finds_it_and_a_number_of_its_own() {
    for crash in Crash::ALL {
        assert_eq!(crash.to_string().parse(), Ok(crash));
    }
    let numbers: BTreeSet<u64> = Crash::ALL.into_iter().map(Crash::number).collect();
    assert_eq!(numbers.len(), Crash::ALL.len());
    assert!("explode".parse::<Crash>().is_err());
}
