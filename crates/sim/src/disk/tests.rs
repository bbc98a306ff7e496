use super::*;

fn write(file: FileNo, offset: u64, bytes: &[u8]) -> Change {
    Change::Edit { file, edit: Edit::Write { offset, bytes: bytes.into() } }
}

fn create(file: FileNo, path: &str) -> Change {
    Change::Create { file, path: Some(path.into()) }
}

fn sync(file: FileNo, effect: SyncEffect) -> Change {
    Change::Sync { file, effect }
}

fn sync_dir(effect: SyncEffect) -> Change {
    Change::SyncDir { dir: "/d".into(), effect }
}

/// A disk with `/d/a` at rest, holding `old`.
fn disk_with_old() -> Disk {
    let mut image = Image::empty();
    image.put("/d/a", b"old");
    Disk::from_image(&image)
}

fn layers(disk: &Disk) -> (Vec<u8>, Vec<u8>) {
    (disk.files[&1].cache.to_vec(), disk.files[&1].disk.to_vec())
}

#[test]
fn a_write_reaches_the_disk_with_the_sync() {
    let mut disk = disk_with_old();
    disk.apply(&write(1, 1, b"ut!"));
    assert_eq!(layers(&disk), (b"out!".to_vec(), b"old".to_vec()));
    assert_eq!(disk.pending_count(), 1);
    disk.apply(&sync(1, SyncEffect::Persist));
    assert_eq!(layers(&disk), (b"out!".to_vec(), b"out!".to_vec()));
    assert_eq!(disk.pending_count(), 0);
}

#[test]
fn a_sync_that_lies_leaves_the_changes_pending() {
    let mut disk = disk_with_old();
    disk.apply(&write(1, 0, b"new"));
    disk.apply(&sync(1, SyncEffect::Nothing));
    assert_eq!(layers(&disk), (b"new".to_vec(), b"old".to_vec()));
    disk.apply(&sync(1, SyncEffect::Persist));
    assert_eq!(layers(&disk), (b"new".to_vec(), b"new".to_vec()));
}

#[test]
fn a_failed_sync_loses_the_changes_even_when_the_next_one_succeeds() {
    let mut disk = disk_with_old();
    disk.apply(&write(1, 0, b"N"));
    disk.apply(&sync(1, SyncEffect::LoseKeepCache));
    disk.apply(&write(1, 2, b"D"));
    disk.apply(&sync(1, SyncEffect::Persist));
    assert_eq!(layers(&disk), (b"NlD".to_vec(), b"olD".to_vec()));
}

#[test]
fn a_failed_sync_may_take_the_changes_back_from_the_cache() {
    let mut disk = disk_with_old();
    disk.apply(&write(1, 0, b"new"));
    disk.apply(&sync(1, SyncEffect::LoseRevertCache));
    assert_eq!(layers(&disk), (b"old".to_vec(), b"old".to_vec()));
    assert_eq!(disk.pending_count(), 0);
}

#[test]
fn a_name_is_durable_with_its_directory_and_not_with_its_file() {
    let mut disk = Disk::default();
    disk.apply(&create(1, "/d/a"));
    disk.apply(&write(1, 0, b"x"));
    disk.apply(&sync(1, SyncEffect::Persist));
    assert!(disk.disk_names.is_empty());
    disk.apply(&Change::SyncDir { dir: "/other".into(), effect: SyncEffect::Persist });
    assert!(disk.disk_names.is_empty());
    disk.apply(&sync_dir(SyncEffect::Nothing));
    assert!(disk.disk_names.is_empty());
    disk.apply(&sync_dir(SyncEffect::Persist));
    assert_eq!(disk.disk_names.get(Path::new("/d/a")), Some(&1));
    assert_eq!(disk.pending_count(), 0);
}

#[test]
fn a_failed_directory_sync_loses_the_names() {
    let mut disk = Disk::default();
    disk.apply(&create(1, "/d/a"));
    disk.apply(&sync_dir(SyncEffect::LoseKeepCache));
    disk.apply(&sync_dir(SyncEffect::Persist));
    assert!(disk.disk_names.is_empty());
    assert_eq!(disk.lookup(Path::new("/d/a")), Some(1));
}

#[test]
fn renames_and_removals_are_seen_at_once_and_durable_later() {
    let mut disk = disk_with_old();
    disk.apply(&Change::Rename { from: "/d/a".into(), to: "/d/b".into() });
    assert_eq!(disk.lookup(Path::new("/d/b")), Some(1));
    assert_eq!(disk.lookup(Path::new("/d/a")), None);
    assert_eq!(disk.disk_names.get(Path::new("/d/a")), Some(&1));
    disk.apply(&sync_dir(SyncEffect::Persist));
    assert_eq!(disk.disk_names.keys().collect::<Vec<_>>(), [Path::new("/d/b")]);
    disk.apply(&Change::Remove { path: "/d/b".into() });
    assert_eq!(disk.list(Path::new("/d")).count(), 0);
    assert_eq!(disk.disk_names.len(), 1);
}

#[test]
fn allocate_and_punch_change_the_cache_as_files_do() {
    let mut disk = disk_with_old();
    for edit in [Edit::Allocate(2), Edit::Allocate(5), Edit::Punch { offset: 1, len: 1 }] {
        disk.apply(&Change::Edit { file: 1, edit });
    }
    assert_eq!(layers(&disk).0, b"o\0d\0\0");
    disk.apply(&Change::Edit { file: 1, edit: Edit::SetLen(1) });
    assert_eq!(layers(&disk).0, b"o");
}

#[test]
fn pieces_are_cut_at_sector_boundaries() {
    let edit = Edit::Write { offset: 500, bytes: vec![1; 600].into() };
    assert_eq!(edit.pieces().collect::<Vec<_>>(), [(500, 12), (512, 512), (1024, 76)]);
    let punch = Edit::Punch { offset: 512, len: 512 };
    assert_eq!(punch.pieces().collect::<Vec<_>>(), [(512, 512)]);
    assert_eq!(Edit::SetLen(5000).pieces().count(), 0);
}

#[test]
fn the_same_changes_give_the_same_disk() {
    let mut script = vec![create(1, "/d/a"), create(2, "/d/b"), write(2, 3, b"zz")];
    script.push(sync_dir(SyncEffect::Persist));
    script.push(Change::Edit { file: 1, edit: Edit::SetLen(9) });
    let run = || {
        let mut disk = Disk::default();
        script.iter().for_each(|change| disk.apply(change));
        disk
    };
    assert_eq!(run().after_kill().hash(), run().after_kill().hash());
    assert_eq!(run().pending_count(), 2);
    assert_eq!(run().next_file(), 3);
}
