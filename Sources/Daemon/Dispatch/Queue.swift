// SPDX-License-Identifier: Apache-2.0

/// A first-in first-out queue on one array: amortised constant time at both ends, no shifting.
struct Queue<Element> {
    private var items: [Element?] = []
    private var head = 0

    var isEmpty: Bool { head == items.count }
    var count: Int { items.count - head }

    var first: Element? { head < items.count ? items[head] : nil }

    mutating func append(_ item: Element) { items.append(item) }

    mutating func popFirst() -> Element? {
        guard head < items.count else { return nil }
        let item = items[head]
        items[head] = nil
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: items.count <= 1024)
            head = 0
        } else if head >= 1024, head * 2 >= items.count {
            items.removeFirst(head)
            head = 0
        }
        return item
    }

    /// Takes the first that is wanted out, wherever it stands.
    mutating func remove(where isWanted: (Element) -> Bool) -> Element? {
        guard let index = items[head...].firstIndex(where: { $0.map(isWanted) ?? false }) else { return nil }
        if index == head { return popFirst() }
        return items.remove(at: index)
    }

    mutating func removeAll() {
        items.removeAll()
        head = 0
    }

    mutating func removeAll(where isGone: (Element) -> Bool) {
        let kept = elements.filter { !isGone($0) }
        items = kept
        head = 0
    }

    var elements: [Element] { items[head...].compactMap { $0 } }
}
