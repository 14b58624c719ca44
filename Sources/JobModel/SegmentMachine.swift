// SPDX-License-Identifier: Apache-2.0

/// How one file may be fetched over several connections.
public struct SegmentRules: Sendable, Hashable {
    /// Connections at most; 1: no segments.
    public var most: Int
    /// Bytes below which no range is split off.
    public var leastSize: Int64
    /// The list asked for so many: all at once. Else one more only while it brings something.
    public var isAsked: Bool
    /// Connections to one source at most, where the file has several.
    public var perSource: Int
    public init(
        most: Int = 1, leastSize: Int64 = 1 << 20, isAsked: Bool = false, perSource: Int? = nil
    ) {
        self.most = max(1, most)
        self.perSource = max(1, perSource ?? most)
        self.leastSize = max(1, leastSize)
        self.isAsked = isAsked
    }
    /// One connection.
    public static let none = SegmentRules()
}

/// The connections of one file: which ranges they fetch, how many there should be, what becomes of a range whose
/// connection failed. Pure: the transfer tells what happened, and carries out what is answered.
///
/// The segment `first` is the transfer itself and always has its place; the others come and go as the host has room.
public struct SegmentMachine: Sendable, Hashable {
    public static let first = 0
    /// What one connection would have done within this is not worth another.
    static let leastTime = Duration.seconds(1)
    /// The same where a connection is open already.
    static let leastTimeOpen = Duration.milliseconds(500)
    static let longestPause = Duration.seconds(30)
    /// A mirror that brings nothing for so long while others do is out.
    static let stallTime = Duration.seconds(10)
    /// Over a long line one connection takes a second and more to find its speed: a large file begins with several.
    static let longLineFirst = 4
    static let longLineSize: Int64 = 32 << 20
    /// So many times as long as a faster source would need is too long for the end of a file.
    static let lag = 3.0

    public let rules: SegmentRules
    public private(set) var plan: SegmentPlan
    public private(set) var sources: SegmentSources
    private var ramp: SegmentRamp
    private var nextID = 1
    /// The server has shown that it knows no ranges after all.
    private var isOff = false
    /// Never more than these, after a server that took so many and no more.
    private var most: Int
    /// Failures in a row, without a segment that was begun since and got on.
    private var strikes = 0
    /// Segments are numbered as they begin: those from here on began after the last failure.
    private var begun = 0
    private var strikeOrder = 0
    private var notBefore: MonotonicTime
    private var meters: [Int: Meter] = [:]
    /// The last segment of a mirror that has begun.
    private var lastHelp = 0
    /// The own source has failed, and mirrors may bring the rest.
    private var isHelped = false
    /// What one connection brings is known.
    private var hasMeasured = false

    private struct Meter: Hashable {
        let order: Int
        let begun: Int64
        var position: Int64
        var time: MonotonicTime
        /// When something came last.
        var moved: MonotonicTime
        var speed: Double?
        /// What came last, not smoothed.
        var rate = 0.0
    }

    /// - Parameters:
    ///   - known: ranges that are there, what the running request has brought included.
    ///   - sources: where the connections may lead; nil: only to where the first does.
    ///   - cost: of one more connection.
    public init(
        total: Int64, known: [ByteRange], rules: SegmentRules, sources: SegmentSources? = nil,
        cost: ConnectionStart = ConnectionStart(), now: MonotonicTime
    ) {
        self.rules = rules
        self.sources = sources ?? SegmentSources(perSource: rules.perSource)
        plan = SegmentPlan(total: total, known: known, leastSize: rules.leastSize, cost: cost)
        if cost.isLong, plan.missing >= Self.longLineSize {
            ramp = SegmentRamp(most: rules.most, first: Self.longLineFirst, isProven: false)
        } else {
            // Two hosts are hardly ever slower than one.
            ramp = SegmentRamp(most: rules.most, first: self.sources.hasOthers ? 2 : 1)
        }
        most = rules.most
        notBefore = now
    }

    /// The transfer's own request, which is under way, fills what lies at `position`.
    public mutating func adopt(at position: Int64, reach: Int64, now: MonotonicTime) {
        plan.adopt(Self.first, at: position, reach: reach)
        begin(Self.first, at: position, sources.own, now)
    }

    private mutating func begin(_ id: Int, at position: Int64, _ place: Int, _ now: MonotonicTime) {
        begun += 1
        sources.began(id, at: place)
        if place != sources.own { lastHelp = begun }
        meters[id] = Meter(order: begun, begun: position, position: position, time: now, moved: now)
    }

    /// Connections beside the first that would find something to do.
    /// - Parameter isOpen: the next one is there already, from another request of the host's.
    public func wanted(now: MonotonicTime, isOpen: Bool = false) -> Int {
        guard mayOpen(now: now) || (!isOff && sources.hasOthers) else { return 0 }
        // One that will be there in a moment is left alone: what it brings says so.
        if !rules.isAsked, sources.hasOthers, !hasMeasured { return 0 }
        let target = min(most, sources.room, rules.isAsked ? rules.most : ramp.level)
        guard target > 1 else { return 0 }
        let time = isOpen ? Self.leastTimeOpen : Self.leastTime
        return max(0, min(target, plan.capacity(leastTime: time, isOpen: isOpen)) - 1)
    }

    /// The same, and where they may lead.
    public func wish(now: MonotonicTime) -> SegmentWish {
        let open = wanted(now: now, isOpen: true)
        let places = sources.wished.filter { mayOpen(at: $0.place, now: now) }
        return open == 0 ? .none : SegmentWish(count: wanted(now: now), open: open, sources: places)
    }

    /// Whether a connection to the own source may be opened now that is not needed for the file to get on at all.
    public func mayOpen(now: MonotonicTime) -> Bool { !isOff && now >= notBefore }

    /// Whether a connection may be opened there now. A pause of the own source is no mirror's.
    public func mayOpen(at place: Int, now: MonotonicTime) -> Bool {
        sources.isUsable(place) && (place == sources.own ? mayOpen(now: now) : !isOff)
    }

    /// Nothing runs, and the own source has just failed: whether a mirror is waited for as long as that one pauses.
    public func awaitsHelp(now: MonotonicTime) -> Bool {
        isHelped && !isOff && sources.hasOthers && now < notBefore
    }

    /// Begins a segment beside the first. nil: there is nothing for it.
    /// - Parameters:
    ///   - place: of the URL that is asked; nil: where the first leads.
    ///   - isOpen: its connection is there already.
    public mutating func open(
        at place: Int? = nil, isOpen: Bool = false, now: MonotonicTime
    ) -> (id: Int, range: ByteRange)? {
        // Those that begin for the first time share alike; later ones take half.
        let shares = max(1, wanted(now: now, isOpen: isOpen) + 1 - begun)
        let time = isOpen ? Self.leastTimeOpen : Self.leastTime
        let id = nextID
        guard let range = plan.assign(id, shares: shares, leastTime: time, isOpen: isOpen) else { return nil }
        nextID += 1
        begin(id, at: range.start, place ?? sources.own, now)
        return (id, range)
    }

    /// What the first does next. nil: the others do all there is.
    public mutating func openFirst(now: MonotonicTime) -> ByteRange? {
        guard let range = plan.assign(Self.first, leastTime: Self.leastTime) else { return nil }
        begin(Self.first, at: range.start, sources.own, now)
        return range
    }

    /// Everything up to `position` has come.
    public mutating func reached(_ id: Int, _ position: Int64) {
        plan.reached(id, position)
        guard strikes > 0, let meter = meters[id], meter.order > strikeOrder else { return }
        if position - meter.begun >= rules.leastSize { strikes = 0 }
    }

    /// A segment's request is over, without trouble: what it left is for others.
    public mutating func over(_ id: Int) {
        plan.release(id)
        meters[id] = nil
        sources.ended(id)
    }

    /// A mirror's request has failed: the others do without that mirror, and nobody pauses.
    /// - Parameter isFinal: it has not got the file, or nothing shows that it has.
    public mutating func lost(_ id: Int, hadBytes: Bool, isFinal: Bool) {
        sources.failed(id, hadBytes: hadBytes, isFinal: isFinal)
        over(id)
    }

    /// A segment's request has failed: its range is asked for again, by another or after a pause.
    /// - Parameter hadBytes: it had got on before. Else the server takes no more connections than there are.
    public mutating func failed(_ id: Int, hadBytes: Bool, now: MonotonicTime) {
        over(id)
        strikes = min(strikes + 1, 16)
        isHelped = strikes == 1 || lastHelp > strikeOrder || meters.keys.contains { isOfOther($0) }
        strikeOrder = begun
        let pause = Duration.seconds(1 << (strikes - 1))
        notBefore = max(notBefore, now + min(pause, Self.longestPause))
        guard !hadBytes else { return }
        if sources.hasOthers {
            sources.limitOwn()
        } else {
            most = max(1, min(most, plan.inFlight))
        }
    }

    /// Does without a mirror from now on; what it is asked for already goes on.
    public mutating func drop(_ place: Int) { sources.drop(place) }

    /// The server knows no ranges after all: those that run go on, no other begins.
    public mutating func off() { isOff = true }

    /// Looks at what each connection brings. `positions`: where each segment stands; `bytes`: all that has come.
    /// - Returns: segments that are one too many: what they do the others do as fast.
    public mutating func sample(_ positions: [Int: Int64], bytes: Int64, now: MonotonicTime) -> [Int] {
        for (id, position) in positions {
            guard var meter = meters[id], now - meter.time >= .milliseconds(200) else { continue }
            let rate = Double(max(0, position - meter.position)) / (now - meter.time).secondsDouble
            // One that is still finding its speed will soon bring more.
            let growth = meter.rate > 0 && rate > meter.rate * 1.5 ? min(rate / meter.rate, 4) : 1
            meter.rate = rate
            meter.speed = meter.speed.map { $0 * 0.6 + rate * 0.4 } ?? (rate > 0 ? rate : nil)
            if position > meter.position { meter.moved = now }
            meter.position = position
            meter.time = now
            meters[id] = meter
            if let speed = meter.speed {
                plan.measured(id, bytesPerSecond: max(speed, rate * growth))
                hasMeasured = true
            }
        }
        sources.measured(meters.compactMapValues(\.speed))
        guard !rules.isAsked else { return [] }
        let running = meters.values.count { $0.speed != nil }
        ramp.sample(bytes: bytes, running: running, left: plan.total - bytes, now: now)
        guard ramp.takesBack, meters.count > ramp.level else { return [] }
        return Array(meters.keys.filter { $0 != Self.first }.sorted().suffix(meters.count - ramp.level))
    }

    /// Segments of mirrors that stand still while others get on: those mirrors are of no use.
    public func stalled(now: MonotonicTime) -> [Int] {
        guard meters.values.contains(where: { now - $0.moved < .seconds(1) }) else { return [] }
        return meters.filter { isOfOther($0.key) && now - $0.value.moved >= Self.stallTime }.keys.sorted()
    }

    /// Segments of slow mirrors with an end that is too small to be shared, while a faster source is out of work.
    public func laggards() -> [Int] {
        let spare = sources.places.filter { sources.hasSpare($0) }.compactMap { sources.rate(of: $0) }.max()
        guard let spare, plan.holes.allSatisfy({ $0.owner != nil }) else { return [] }
        return meters.filter { id, meter in
            guard isOfOther(id), let speed = meter.speed, let rest = plan.rest(of: id) else { return false }
            let count = Double(rest.count)
            return rest.count < 2 * rules.leastSize
                && count / max(speed, 1) > 2 + Self.lag * count / max(spare, 1)
        }.keys.sorted()
    }

    private func isOfOther(_ id: Int) -> Bool { sources.place(of: id) != sources.own }

    /// When the pause after a failure is over, if there is one.
    public func pauseEnd(now: MonotonicTime) -> MonotonicTime? { notBefore > now ? notBefore : nil }
}
