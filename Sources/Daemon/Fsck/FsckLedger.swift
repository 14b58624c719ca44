// SPDX-License-Identifier: Apache-2.0

import Config
import JobModel
import Ledger
import LinuxKit
import SystemPackage

/// Opens the ledger, audits it, and puts a sound one in the place of a damaged one.
struct FsckLedger {
    let configuration: Configuration
    let options: FsckOptions
    let version: String
    let configPath: String?

    private var path: String { configuration.stateDir + "/ledger.db" }
    /// A whole new ledger that waits for its name; left by a repair that died in between.
    private var fresh: String { path + ".rebuilt" }
    /// Above so many bytes the indexes are not compared with the tables.
    private static let quickFrom: Int64 = 4 << 30

    /// - Returns: nil where dld has never had a ledger.
    func open(_ report: inout FsckReport) throws -> LedgerStore? {
        guard let status = try FileStatus.of(FilePath(path)) else { return try openMissing(&report) }
        do {
            let store = try LedgerStore.open(
                path: path, durability: durability, programVersion: version)
            let damage = try store.integrity(quick: status.size > Self.quickFrom)
            guard damage.isEmpty else {
                try store.close()
                return try rebuild(damage.joined(separator: "; "), &report)
            }
            try recount(store, &report)
            return store
        } catch let error as LedgerError where error.code == .corrupt {
            return try rebuild(error.message, &report)
        }
    }

    /// Counts that differ from what they count are counted anew.
    private func recount(_ store: LedgerStore, _ report: inout FsckReport) throws {
        let found = try store.inconsistencies()
        guard !found.isEmpty else { return }
        var left = found
        if options.repair {
            try store.group { () throws(LedgerError) in try store.recount() }
            left = try store.inconsistencies()
        }
        for sentence in found {
            let isMended = !left.contains(sentence)
            let remedy =
                isMended ? "counted anew" : options.repair ? "" : "dld fsck --repair: counts are taken anew"
            report.add(
                Finding(weight: .wrong, object: path, says: sentence, remedy: remedy, isMended: isMended))
        }
    }

    private var durability: LedgerDurability { configuration.durability == .full ? .full : .none }

    private func openMissing(_ report: inout FsckReport) throws -> LedgerStore? {
        let owner = try OutputPlace(root: configuration.outputDir, identity: "", claims: true).owner()
        let hasLists = try !names(in: "accepted").isEmpty
        if owner == nil, !hasLists, try FileStatus.of(FilePath(fresh)) == nil {
            report.add(
                Finding(
                    weight: .note, object: path, says: "there is no ledger: dld has not run here yet",
                    remedy: ""))
            return nil
        }
        return try rebuild("it is gone, and the output or accepted/ show that there was one", &report)
    }

    private func rebuild(_ why: String, _ report: inout FsckReport) throws -> LedgerStore {
        guard options.repair else {
            throw StartError(
                ExitStatus.dataError, "ledger \(path): \(why)",
                remedy: OpenedLedger.mending(config: configPath))
        }
        let swap = try LedgerSwap(path: path, fresh: fresh)
        let salvage = try swap.run { () throws(LedgerError) in
            try LedgerRescue.build(
                at: fresh, from: path, known: try self.known(), programVersion: version)
        }
        let numbers = salvage.map {
            ": saved \($0.files) published files and \($0.parts) parts, jobs go on at number \($0.nextSeq)"
        }
        report.add(
            Finding(
                weight: .wrong, object: path, says: why,
                remedy: "moved aside to \(swap.aside) and rebuilt\(numbers ?? "")", isMended: true))
        return try LedgerStore.open(path: path, durability: durability, programVersion: version)
    }

    /// What the other places tell of a ledger that cannot: the output names it, results name its lists.
    private func known() throws(LedgerError) -> LedgerSalvage {
        var salvage = LedgerSalvage()
        do {
            let place = OutputPlace(root: configuration.outputDir, identity: "", claims: true)
            if let owner = try place.owner(), LedgerRescue.isIdentity(owner) { salvage.identity = owner }
            for folder in ["done", "failed"] {
                for name in try names(in: folder) where name.hasSuffix(".results.jsonl") {
                    let list = try listNumber(in: "\(configuration.spoolDir)/\(folder)/\(name)")
                    salvage.lastList = max(salvage.lastList, list)
                }
            }
        } catch {
            throw LedgerError(.cannotOpen, file: path, message: "\(error)")
        }
        return salvage
    }

    private func names(in folder: String) throws -> [String] {
        let directory = FilePath("\(configuration.spoolDir)/\(folder)")
        guard try FileStatus.of(directory, followingLinks: true) != nil else { return [] }
        let scan = try FolderNames(directory)
        var found: [String] = []
        while let entry = scan.next() { if !entry.name.hasPrefix(".") { found.append(entry.name) } }
        return found
    }

    /// Results begin with `{"list":N,`.
    private func listNumber(in results: String) throws -> Int64 {
        let file = try Descriptor.open(FilePath(results), .readOnly, options: [.noFollow, .nonBlocking])
        let head = try file.read(upTo: 32, results) ?? []
        let text = String(decoding: head, as: UTF8.self)
        guard text.hasPrefix("{\"list\":") else { return 0 }
        return Int64(text.dropFirst(8).prefix { $0.isASCII && $0.isNumber }) ?? 0
    }
}

/// Puts a rebuilt ledger in the place of a damaged one. At no moment is there no ledger: a start in between would make
/// an empty one and forget every job. What dies half way is finished by the next repair.
private struct LedgerSwap {
    let path: String
    let fresh: String
    /// `ledger.db.broken-1`, `-2`, ...: the first that is free, or the one that a swap had come to.
    let aside: String
    private let isThere: Bool
    /// The damaged one has its other name already: the fresh one is whole.
    private let hasBegun: Bool

    init(path: String, fresh: String) throws(SystemError) {
        self.path = path
        self.fresh = fresh
        let damaged = try FileStatus.of(FilePath(path))
        let isReady = try FileStatus.of(FilePath(fresh)) != nil
        var number = 1
        var begun = false
        while let taken = try FileStatus.of(FilePath("\(path).broken-\(number)")) {
            if let damaged, isReady, taken.isSameFile(as: damaged) {
                begun = true
                break
            }
            number += 1
        }
        aside = "\(path).broken-\(number)"
        isThere = damaged != nil
        hasBegun = begun
    }

    /// - Returns: nil where a whole one was waiting from before.
    func run(_ build: () throws(LedgerError) -> LedgerSalvage) throws -> LedgerSalvage? {
        var salvage: LedgerSalvage?
        if !hasBegun {
            for suffix in ["", "-journal", "-wal", "-shm"] { _ = try unlink(FilePath(fresh + suffix)) }
            salvage = try build()
        }
        let state = FilePath(path).removingLastComponent()
        if isThere, !hasBegun { try addName(FilePath(path), to: FilePath(aside)) }
        // Its write-ahead log must not be taken for the new one's: it goes first.
        for suffix in ["-wal", "-shm"] where try FileStatus.of(FilePath(path + suffix)) != nil {
            try renameReplace(FilePath(path + suffix), to: FilePath(aside + suffix))
        }
        try sync(state)
        try renameReplace(FilePath(fresh), to: FilePath(path))
        try sync(state)
        return salvage
    }

    private func sync(_ directory: FilePath) throws {
        try Descriptor.openDirectory(directory).synchronize(directory.string)
    }
}
