// SPDX-License-Identifier: Apache-2.0

import ControlAPI

@testable import Config
@testable import ControlServer
@testable import JobModel
@testable import Spool
@testable import Transfer

/// By name: everything that reads bytes from outside, and what must hold beyond "it does not crash".
let targets: [String: @Sendable ([UInt8]) -> Void] = [
    "text_list": textList, "json_lines": jsonLines, "metalink": metalink, "gzip": gzip,
    "response_head": responseHead,
    "content_fields": contentFields, "dates": dates, "content_disposition": contentDisposition,
    "rate_limits": rateLimits, "names": names, "digest_lists": digestLists, "audit_orders": auditOrders,
    "sum_frames": sumFrames, "control": control, "config": config, "values": values, "addresses": addresses,
]

// MARK: Lists

private let rules = ListRules()
private let builder = EntryBuilder(
    rules: rules, layout: .flat, outputRoot: "/srv/dld", cipher: JobIDCipher(key: 0x5EED))

private func check(_ entries: [ListEntry], _ defaults: JobOptions, _ seen: inout Int) {
    for entry in entries {
        expect(entry.line >= seen, "entries come in the order of their lines")
        seen = entry.line
        let admitted = builder.admitted(entry, list: ListID(1), seq: JobSeq(1), defaults: defaults)
        guard case .download(_, let path) = admitted.kind else { continue }
        check(path: path)
    }
}

func check(path: OutputPath) {
    let parts = path.bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    for part in parts { check(name: Array(part)) }
    expect(!OutputName.isReserved(Array(parts.first ?? [])), "dld's own folder is never written to")
}

func check(name: [UInt8]) {
    expect((1...255).contains(name.count), "a name has 1 to 255 bytes")
    expect(name != [0x2E] && name != [0x2E, 0x2E], "a name leads nowhere")
    expect(
        !name.contains { $0 < 0x20 || $0 == 0x7F || $0 == 0x2F },
        "a name has no slash and no control character")
    expect(String(validating: name, as: UTF8.self) != nil, "a name is UTF-8")
}

/// In two pieces, and whole: the same comes out.
@Sendable private func metalink(_ input: [UInt8]) {
    func read(_ cut: Int) -> (entries: [ListEntry], isWhole: Bool) {
        let grammar = MetalinkGrammar(rules: rules)
        let scanner = XMLScanner(namespace: MetalinkGrammar.namespace, taker: grammar)
        var isWhole = true
        do throws(XMLFault) {
            if cut > 0 { try scanner.feed(input[..<cut]) }
            if grammar.refusal == nil, cut < input.count { try scanner.feed(input[cut...]) }
            if grammar.refusal == nil { try scanner.finish() }
        } catch { isWhole = false }
        return (grammar.entries, isWhole && grammar.refusal == nil)
    }
    let whole = read(0)
    let parts = read(input.isEmpty ? 0 : Int(input[0]) % input.count)
    expect(whole.isWhole == parts.isWhole, "where it is cut does not decide whether it is good")
    if whole.isWhole { expect(whole.entries == parts.entries, "where it is cut changes nothing") }
    var seen = 0
    check(whole.entries, JobOptions(), &seen)
}

private func scan(_ input: [UInt8], _ take: (ListLine) throws -> Void) rethrows {
    // Cut at a place the input decides: no place may matter.
    let cut = input.isEmpty ? 0 : Int(input[0]) % input.count
    var scanner = LineScanner()
    for chunk in [Array(input[..<cut]), Array(input[cut...])] {
        var start = 0
        while let line = scanner.next(in: chunk, from: &start) { try take(line) }
    }
    if let last = scanner.finish() { try take(last) }
}

private func textList(_ input: [UInt8]) {
    var machine = TextListMachine(rules: rules)
    var seen = 0
    do {
        try scan(input) { line in
            let yield = try machine.take(line)
            check(yield.entries, machine.defaults ?? JobOptions(), &seen)
        }
        check(try machine.finish().entries, machine.defaults ?? JobOptions(), &seen)
    } catch {}
}

private func jsonLines(_ input: [UInt8]) {
    var parser = JSONLinesParser(rules: rules)
    var seen = 0
    do {
        try scan(input) { line in
            let yield = try parser.take(line)
            check(yield.entries, parser.defaults ?? JobOptions(), &seen)
        }
        check(try parser.finish().entries, parser.defaults ?? JobOptions(), &seen)
    } catch {}
}

private func gzip(_ input: [UInt8]) {
    let inflater = Inflater()
    inflater.feed(input)
    var produced = 0
    // Bounded: a bomb of a few KiB would unpack for ever.
    for _ in 0..<1000 {
        switch inflater.step(upTo: 4096) {
        case .output(let bytes):
            expect(!bytes.isEmpty && bytes.count <= 4096, "output is bounded and never empty")
            produced += bytes.count
        case .memberEnd:
            if inflater.rest.isEmpty { return }
            inflater.reset()
        case .needsInput, .damaged: return
        }
    }
}

// MARK: Answers

private func responseHead(_ input: [UInt8]) {
    var head = ResponseHead()
    for line in lines(input) {
        let step = line.withUnsafeBytes { head.take(RawSpan(_unsafeBytes: $0)) }
        if step == .tooLarge { return }
    }
    expect((0...999).contains(head.status), "a status has three digits")
    expect(head.contentLengths.count <= 4 && head.contentRanges.count <= 4, "repeated fields are bounded")
    expect(head.contentDispositions.count <= 4, "repeated fields are bounded")
    if let location = head.location { expect(location.utf8.allSatisfy { $0 < 0x80 }, "a Location is ASCII") }
    _ = (head.strongETag, head.strongLastModified)
    _ = try? ContentLength.parse(head.contentLengths)  // a refusal is an answer
}

private func contentFields(_ input: [UInt8]) {
    let field = text(input)
    if let range = ContentRange(field) {
        expect(range.first >= 0 && range.first <= range.last && range.last < .max, "a range runs upwards")
        expect(range.count >= 1, "a range has bytes")
        if let total = range.total { expect(range.last < total, "a range lies in its file") }
        let printed = "bytes \(range.first)-\(range.last)/\(range.total.map { String($0) } ?? "*")"
        expect(ContentRange(printed) == range, "a range reads as it prints")
    }
    if let total = ContentRange.unsatisfiedTotal(field) { expect(total >= 0, "a length is not negative") }
    if let length = try? ContentLength.parse(lines(input).map(text)) {  // a refusal is an answer
        expect(length >= 0, "a length is not negative")
    }
    if case .success(let header) = HeaderRule.parse(field) {
        expect(HeaderRule.fault(in: header) == nil, "a header that was read may be sent")
    }
}

private func dates(_ input: [UInt8]) {
    let field = text(input)
    if let time = HTTPDate.parse(field) {
        expect(HTTPDate.parse(HTTPDate.format(time)) == time, "a date reads as it prints")
    }
    for now in [Int64.min, 0, 1_800_000_000_000, .max] {
        guard let wait = RetryAfter.parse(field, now: WallTime(milliseconds: now)) else { continue }
        expect(wait >= .zero && wait <= .seconds(86_400 * 366), "a wait is clamped")
    }
}

private func rateLimits(_ input: [UInt8]) {
    let parts = lines(input).map(text)
    let forms: [[RateLimitFields.Name]] = [[.current], [.remaining, .reset], [.oldRemaining, .oldReset]]
    for names in forms {
        var fields = RateLimitFields()
        for (name, value) in zip(names, parts) { fields.take(name, value) }
        for now in [Int64.min, 0, 1_800_000_000_000, .max] {
            let now = WallTime(milliseconds: now)
            for wait in [fields.waitAfterRefusal(now: now), fields.waitAfterService(now: now)] {
                guard let wait else { continue }
                expect(wait > .zero && wait <= RetryPolicy.longestRetryAfter, "a wait is clamped")
            }
        }
    }
}

private func contentDisposition(_ input: [UInt8]) {
    guard let name = ContentDisposition.name(lines(input)) else { return }
    check(name: Array(name.utf8))
    expect(name.utf8.first != 0x2E && name.utf8.first != 0x20, "a server's name has no leading dot")
}

// MARK: Names, texts, frames

private func names(_ input: [UInt8]) {
    for isTop in [false, true] {
        let name = OutputName.safe(input, isTop: isTop)
        check(name: Array(name.utf8))
        expect(!isTop || !OutputName.isReserved(Array(name.utf8)), "no name at the top is dld's own")
        expect(OutputName.safe(Array(name.utf8), isTop: isTop) == name, "a safe name stays as it is")
        let numbered = OutputPath(trusted: name).numbered(input.count)
        check(name: numbered.bytes)
    }
    let decoded = PercentText.decodedSegment(input)
    expect(decoded.count <= input.count, "decoding makes nothing longer")
    let given = text(input)
    expect(Masking.text(Masking.text(given)) == Masking.text(given), "what is masked stays masked")
    _ = (Masking.url(given), Masking.line(given))
    var options = JobOptions()
    options.out = given
    for template in ["flat", "host_path"] {
        for isGiven in [true, false] {
            guard let layout = try? OutputLayout(template: template),  // both are there
                let path = path(in: layout, given, isGiven ? options : JobOptions())
            else { continue }
            check(path: path)
        }
    }
    if let layout = try? OutputLayout(template: given) {  // refused is well
        expect(layout.template.utf8.elementsEqual(given.utf8), "a template is kept as it is")
    }
}

private func path(in layout: OutputLayout, _ given: String, _ options: JobOptions) -> OutputPath? {
    let url = DownloadURL(text: "https://h.example/a", scheme: "https", host: HostKey("h.example"))
    do {
        return try layout.path(
            for: url, urlPath: "/" + given, query: given, options: options, list: ListID(1), line: 1,
            job: JobID(rawValue: 1), outputRoot: "/srv/dld")
    } catch {
        return nil
    }
}

private func digestLists(_ input: [UInt8]) {
    for hint in [nil, DigestAlgorithm.blake2b, .md5] {
        var reader = DigestListReader(hint: hint)
        for line in lines(input) {
            switch reader.read(line) {
            case .entry(let entry):
                expect(!entry.name.isEmpty && !entry.name.contains(0), "a listed file has a name")
                expect(entry.checksum.bytes.count == entry.checksum.algorithm.byteCount, "a digest is whole")
            case .bare(let checksum):
                expect(checksum.bytes.count == checksum.algorithm.byteCount, "a digest is whole")
            case .blank, .malformed: break
            }
        }
    }
}

private func auditOrders(_ input: [UInt8]) {
    guard let order = try? ControlAPI.decode(AuditOrder.self, from: input) else { return }  // refused is well
    if case .paths(let paths) = order.scope { expect(!paths.isEmpty, "an audit of no file is no audit") }
}

private func sumFrames(_ input: [UInt8]) {
    guard let frames = try? SumFrame.frames(in: input) else { return }  // refused is well
    var packet: [UInt8] = []
    for frame in frames { frame.append(to: &packet) }
    let again = try? SumFrame.frames(in: packet)  // compared below
    expect(again == frames, "frames read as they print")
}

private func control(_ input: [UInt8]) {
    let parts = lines(input)
    let method = parts.count > 1 ? text(parts[0]) : "GET"
    let target = text(parts.last ?? [])
    guard let route = try? ControlRoute.parse(method: method, target: target) else { return }  // 4xx
    switch route {
    case .upload(let name):
        expect(
            !name.utf8.contains(0x2F) && !name.hasPrefix("."), "a list's name is one that the spool looks at")
        expect(!name.utf8.contains { $0 < 0x20 || $0 == 0x7F }, "a list's name has no control characters")
    case .jobs(let query): expect((1...1000).contains(query.limit), "a page is bounded")
    case .lists(let query): expect((1...1000).contains(query.limit), "a page is bounded")
    case .hosts(let query): expect((1...1000).contains(query.limit), "a page is bounded")
    case .audits(let query): expect((1...1000).contains(query.limit), "a page is bounded")
    case .results(let query): expect((1...1000).contains(query.limit), "a page is bounded")
    case .verify, .audit, .actOnAudit: break
    case .status, .metrics, .health, .reload, .list, .job, .act, .release: break
    }
}

private func config(_ input: [UInt8]) {
    switch ConfigFile.read(bytes: input, file: "f", cores: 2) {
    case .success(let reading):
        let printed = reading.configuration.printed(masked: false)
        guard case .success(let again) = ConfigFile.read(text: printed, file: "f", cores: 2) else {
            fatalError("does not hold: a printed config is a config: \(printed)")
        }
        expect(again.configuration == reading.configuration, "a config reads as it prints")
    case .failure(let mistakes): expect(!mistakes.mistakes.isEmpty, "a refusal says why")
    }
}

private func values(_ input: [UInt8]) {
    let given = text(input)
    if let checksum = Checksum(given) {
        expect(Checksum(checksum.description) == checksum, "a checksum reads as it prints")
    }
    if let size = ByteSize.parse(given) {
        expect(size >= 0, "a size is not negative")
        expect(ByteSize.parse(ByteSize.exact(size)) == size, "a size reads as it prints")
        _ = ByteSize.format(size)
    }
    if let rate = ByteSize.parseRate(given) { expect(rate >= 0, "a rate is not negative") }
    if let size = ByteSize.parseAria2(given) { expect(size >= 0, "a size is not negative") }
    if let duration = DurationText.parse(given) {
        expect(DurationText.parse(DurationText.format(duration)) == duration, "a duration reads as it prints")
    }
    if case .success(let range) = SumBound.parse(given) {
        expect(range.from <= range.to, "a sum runs upwards")
    }
    if case .success(let credential) = OriginCredential.parse(input), case .header(let field) = credential {
        expect(HeaderRule.fault(in: field) == nil, "a header of a credentials file may be sent")
    }
    if let id = JobID(given) { expect(JobID(id.description) == id, "an id reads as it prints") }
}

private func addresses(_ input: [UInt8]) {
    let given = text(input)
    let rule = AddressPolicy(rule: .deny, isRedirectFromPublic: true)
    if let address = IPAddress(given) {
        expect(
            rule.permits(address) == rule.permits(host: given),
            "an address is judged alike by name and number")
        if case .v4(let bits) = address {
            expect(
                address.isPrivate == IPAddress.v6(0, 0xFFFF_0000_0000 | UInt64(bits)).isPrivate,
                "mapped is alike")
        }
    } else {
        _ = rule.permits(host: given)
    }
    let patterns = HostRules.patterns(for: HostKey(given))
    expect(!patterns.isEmpty, "a host has a pattern")
    _ = HostRules.fault(in: given)
}
