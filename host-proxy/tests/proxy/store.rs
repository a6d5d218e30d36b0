//! What is kept.

use std::os::unix::fs::PermissionsExt as _;

use sqlx::Row as _;
use strongroom_host_proxy::store::{Store, StoreError};
use strongroom_shared::digest::Digest;
use strongroom_shared::encoding::Base64;
use strongroom_shared::receipt::Position;

use crate::samples::{BOOT_A, BOOT_B, dek_id, receipt, sealed, wallet};

async fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("strongroom.sqlite")).await.unwrap();
    (dir, store)
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let (dir, store) = open().await;
    assert_eq!(store.newest_dek().await.unwrap(), None);
    assert_eq!(store.position().await.unwrap(), None);
    store.put_dek(&dek_id(), b"encrypted").await.unwrap();
    store.put_receipt(&receipt(BOOT_A, 0)).await.unwrap();
    store.put_wallet(&sealed("hot-eth"), &receipt(BOOT_A, 1)).await.unwrap();
    store.close().await;

    let path = dir.path().join("strongroom.sqlite");
    let store = Store::open(&path).await.unwrap();
    assert_eq!(store.newest_dek().await.unwrap().unwrap(), b"encrypted");
    assert!(store.has_dek(&dek_id()).await.unwrap());
    assert_eq!(store.sealed_keys().await.unwrap(), [sealed("hot-eth")]);
    assert!(store.has_wallet(&wallet("hot-eth")).await.unwrap());
    assert!(!store.has_wallet(&wallet("deposits-eth")).await.unwrap());
    let last = receipt(BOOT_A, 1);
    let position = Position {
        sequence: 1,
        body: Digest::of(&last.body.0),
        head: Digest::of(&last.head.payload.0),
    };
    assert_eq!(store.position().await.unwrap(), Some(position));
    assert_eq!(store.receipts_at(1).await.unwrap(), [last]);
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn columns_are_base64_and_writes_are_synchronous() {
    let (dir, store) = open().await;
    store.put_dek(&dek_id(), b"encrypted").await.unwrap();
    store.put_wallet(&sealed("hot-eth"), &receipt(BOOT_A, 0)).await.unwrap();
    let path = dir.path().join("strongroom.sqlite");
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let row = sqlx::query("SELECT * FROM encrypted_deks JOIN sealed_keys USING (dek_id)")
        .fetch_one(&pool)
        .await
        .unwrap();
    let column = |name| Base64::parse(row.get(name)).unwrap().0;
    assert_eq!(column("encrypted_dek"), b"encrypted");
    assert_eq!(column("nonce"), [9; 12]);
    assert_eq!(column("ciphertext"), [8; 48]);
    let journal = sqlx::query("PRAGMA journal_mode").fetch_one(&pool).await.unwrap();
    assert_eq!(journal.get::<&str, _>(0), "wal");
}

#[tokio::test]
async fn a_fork_is_kept_and_the_longer_branch_is_the_end() {
    let (_dir, store) = open().await;
    for receipt in [receipt(BOOT_A, 5), receipt(BOOT_B, 5), receipt(BOOT_B, 6)] {
        store.put_receipt(&receipt).await.unwrap();
    }
    assert_eq!(store.receipts_at(5).await.unwrap(), [receipt(BOOT_A, 5), receipt(BOOT_B, 5)]);
    let end = store.position().await.unwrap().unwrap();
    assert_eq!(end.body, Digest::of(&receipt(BOOT_B, 6).body.0));
    // out of order within a boot, as replies may be
    store.put_receipt(&receipt(BOOT_B, 4)).await.unwrap();
    assert_eq!(store.position().await.unwrap(), Some(end));
}

#[tokio::test]
async fn the_same_again_is_no_error_and_another_is() {
    let (_dir, store) = open().await;
    for _ in 0..2 {
        store.put_dek(&dek_id(), b"encrypted").await.unwrap();
    }
    for _ in 0..2 {
        store.put_wallet(&sealed("hot-eth"), &receipt(BOOT_A, 1)).await.unwrap();
    }
    assert_eq!(store.sealed_keys().await.unwrap().len(), 1);

    let mut other = receipt(BOOT_A, 1);
    other.body = Base64(b"another body".to_vec());
    let refused = store.put_receipt(&other).await.unwrap_err();
    assert!(matches!(refused, StoreError::ReceiptConflict));

    let mut other = sealed("hot-eth");
    other.key_id = sealed("deposits-eth").key_id;
    let refused = store.put_wallet(&other, &receipt(BOOT_A, 2)).await.unwrap_err();
    assert!(!refused.is_transient(), "{refused}");
    assert_eq!(store.receipts_at(2).await.unwrap(), [], "both or neither");
}

#[tokio::test]
async fn a_dek_that_moved_to_another_kek_counts_and_what_was_before_stays() {
    let (dir, store) = open().await;
    for blob in [b"under the old KEK", b"under the new KEK", b"under the new KEK"] {
        store.put_dek(&dek_id(), blob).await.unwrap();
    }
    assert_eq!(store.newest_dek().await.unwrap().unwrap(), b"under the new KEK");
    store.put_wallet(&sealed("hot-eth"), &receipt(BOOT_A, 0)).await.unwrap();
    let path = dir.path().join("strongroom.sqlite");
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let rows = sqlx::query("SELECT encrypted_dek FROM encrypted_deks ORDER BY id")
        .fetch_all(&pool)
        .await
        .unwrap();
    let blobs: Vec<_> = rows.iter().map(|row| Base64::parse(row.get(0)).unwrap().0).collect();
    assert_eq!(blobs, [b"under the old KEK", b"under the new KEK"]);
}

#[tokio::test]
async fn what_cannot_be_filed_is_refused() {
    let (_dir, store) = open().await;
    let mut outside = receipt(BOOT_A, 1);
    outside.sequence = 2;
    assert!(matches!(store.put_receipt(&outside).await, Err(StoreError::Receipt(_))));
    let mut headless = receipt(BOOT_A, 1);
    headless.head.payload = Base64(b"{}".to_vec());
    assert!(matches!(store.put_receipt(&headless).await, Err(StoreError::Receipt(_))));
    // sealed under a DEK that is not here
    let refused = store.put_wallet(&sealed("hot-eth"), &receipt(BOOT_A, 1)).await.unwrap_err();
    assert!(!refused.is_transient(), "{refused}");
    store.close().await;
    assert!(!store.put_receipt(&receipt(BOOT_A, 1)).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Store::open(&dir.path().join("none/strongroom.sqlite")).await.err().unwrap();
    assert!(matches!(refused, StoreError::File(_)));
}

#[tokio::test]
async fn a_row_that_was_spoiled_is_named() {
    let (dir, store) = open().await;
    store.put_dek(&dek_id(), b"encrypted").await.unwrap();
    store.put_wallet(&sealed("hot-eth"), &receipt(BOOT_A, 0)).await.unwrap();
    let path = dir.path().join("strongroom.sqlite");
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    for spoil in [
        "UPDATE encrypted_deks SET encrypted_dek = '='",
        "UPDATE sealed_keys SET nonce = '='",
        "UPDATE receipts SET head = '{}'",
    ] {
        sqlx::query(spoil).execute(&pool).await.unwrap();
    }
    for (refused, table, column) in [
        (store.newest_dek().await.err(), "encrypted_deks", "encrypted_dek"),
        (store.sealed_keys().await.err(), "sealed_keys", "nonce"),
        (store.position().await.err(), "receipts", "head"),
    ] {
        let refused = refused.unwrap();
        assert!(
            matches!(refused, StoreError::Column { table: t, column: c, .. } if (t, c) == (table, column)),
            "{refused}"
        );
    }
    sqlx::query("DROP TABLE receipts").execute(&pool).await.unwrap();
    assert!(matches!(store.position().await, Err(StoreError::Database(_))));
}

#[tokio::test]
async fn tables_of_another_version_are_refused() {
    let (dir, store) = open().await;
    store.close().await;
    let path = dir.path().join("strongroom.sqlite");
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET checksum = x'00'").execute(&pool).await.unwrap();
    pool.close().await;
    assert!(matches!(Store::open(&path).await, Err(StoreError::Migration(_))));
}
