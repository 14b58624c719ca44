// SPDX-License-Identifier: Apache-2.0

import CXML
import Glibc

/// The begin of an element.
struct XMLElement {
    enum Space: Hashable {
        case ours
        case none
        case other(String)
    }
    var name: String
    var space: Space
    /// Those that have no prefix.
    var attributes: [(name: String, value: String)]
    /// Where its start tag ends, from 1.
    var line: Int

    subscript(attribute: String) -> String? { attributes.first { $0.name == attribute }?.value }
}

/// Who takes what a document brings, in its order. False: it is to be read no further.
protocol XMLTaker: AnyObject {
    func start(_ element: XMLElement) -> Bool
    /// A part of the text of the element under way.
    func text(_ bytes: borrowing RawSpan) -> Bool
    func end() -> Bool
}

extension [UInt8] {
    mutating func append(_ bytes: borrowing RawSpan) {
        unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
    }
}

/// Why a document is none, and where.
struct XMLFault: Error, Hashable {
    var line: Int
    var column: Int
    var message: String
}

/// An XML document on its way through libxml2's push parser: what comes is told at once, nothing of it is kept.
///
/// Documents that declare their own entities are refused as they begin to: what is left is the five of XML itself and
/// character references, so nothing can grow in the reading and nothing outside is read. libxml2's own limits (nesting,
/// names, 10 MB of text) stay in force. All unsafe calls of it are in this file.
@safe final class XMLScanner {
    private let parser: xmlParserCtxtPtr
    /// What libxml2 hands back in every call. Lives as long as the parser.
    private let receiver: Receiver

    /// - Parameter namespace: whose elements are `ours`.
    init(namespace: StaticString, taker: any XMLTaker) {
        xmlInitParser()
        receiver = Receiver(namespace: namespace, taker: taker)
        var calls = unsafe Self.calls()
        let made = unsafe xmlCreatePushParserCtxt(
            &calls, Unmanaged.passUnretained(receiver).toOpaque(), nil, 0, nil)
        // Fails only without memory, and then nothing can go on.
        guard let made = unsafe made else { preconditionFailure("xmlCreatePushParserCtxt: out of memory") }
        unsafe parser = unsafe made
        let options = XML_PARSE_NONET.rawValue | XML_PARSE_NOENT.rawValue | XML_PARSE_NOCDATA.rawValue
        unsafe _ = xmlCtxtUseOptions(parser, Int32(options))
        unsafe receiver.parser = unsafe parser
    }

    deinit {
        if let document = unsafe parser.pointee.myDoc { unsafe xmlFreeDoc(document) }
        unsafe xmlFreeParserCtxt(parser)
    }

    /// Takes the next bytes. Nothing more may follow a fault, or an end that the taker asked for.
    func feed(_ bytes: ArraySlice<UInt8>) throws(XMLFault) {
        unsafe bytes.withUnsafeBytes { buffer in
            let text = unsafe buffer.bindMemory(to: CChar.self)
            unsafe _ = xmlParseChunk(parser, text.baseAddress, Int32(text.count), 0)
        }
        try check()
    }

    /// Nothing more comes.
    func finish() throws(XMLFault) {
        unsafe _ = xmlParseChunk(parser, nil, 0, 1)
        do { try check() } catch {
            // libxml2 says only that something is wrong with the end.
            var fault = error
            if let (name, line) = receiver.open.last {
                fault.message = "it ends here; expected </\(name)>, which line \(line) began"
            } else if !receiver.hasRoot {
                fault.message = "there is no element in it"
            }
            throw fault
        }
    }

    private func check() throws(XMLFault) {
        if let line = receiver.typeLine {
            throw XMLFault(
                line: line, column: 1,
                message: "it has a DOCTYPE; expected XML without declarations of its own")
        }
        // What is told of namespaces only is no fault: such elements are nobody's.
        guard !receiver.isStopped, unsafe parser.pointee.wellFormed == 0 else { return }
        guard let error = unsafe xmlCtxtGetLastError(parser)?.pointee else {
            throw XMLFault(line: receiver.line, column: 1, message: "no XML")
        }
        var message = unsafe error.message.map { unsafe String(cString: $0) } ?? "no XML"
        if unsafe error.code == Int32(XML_ERR_DOCUMENT_EMPTY.rawValue) { message = "no XML; expected <" }
        let end = message.lastIndex { !$0.isWhitespace }
        throw XMLFault(
            line: unsafe Int(error.line), column: unsafe Int(error.int2),
            message: end.map { String(message[...$0]) } ?? "no XML")
    }

    private static func calls() -> xmlSAXHandler {
        var calls = unsafe xmlSAXHandler()
        // XML_SAX2_MAGIC, which is no number to Swift.
        unsafe calls.initialized = 0xDEED_BEAF
        unsafe calls.startElementNs = { context, name, _, space, _, _, count, _, attributes in
            guard let receiver = unsafe Receiver.of(context), let name = unsafe name else { return }
            unsafe receiver.start(name, space, attributes, Int(count))
        }
        unsafe calls.endElementNs = { context, _, _, _ in
            guard let receiver = unsafe Receiver.of(context) else { return }
            receiver.end()
        }
        unsafe calls.characters = { context, text, count in
            guard let receiver = unsafe Receiver.of(context), let text = unsafe text else { return }
            unsafe receiver.text(UnsafeRawBufferPointer(start: text, count: Int(count)))
        }
        unsafe calls.internalSubset = { context, _, _, _ in
            guard let receiver = unsafe Receiver.of(context) else { return }
            receiver.typeLine = receiver.line
            receiver.stop()
        }
        // Else it would print its complaints.
        unsafe calls.serror = { _, _ in }
        return unsafe calls
    }
}

/// The parser's side of a taker: never the scanner itself, whose end calls into libxml2.
@safe private final class Receiver {
    let taker: any XMLTaker
    private let namespace: StaticString
    var parser: xmlParserCtxtPtr?
    private(set) var isStopped = false
    /// Of a DOCTYPE.
    var typeLine: Int?
    /// Elements under way; libxml2 bounds how many.
    private(set) var open: [(name: String, line: Int)] = []
    private(set) var hasRoot = false

    init(namespace: StaticString, taker: any XMLTaker) {
        self.namespace = namespace
        self.taker = taker
    }

    static func of(_ context: UnsafeMutableRawPointer?) -> Receiver? {
        unsafe context.map { unsafe Unmanaged<Receiver>.fromOpaque($0).takeUnretainedValue() }
    }

    var line: Int {
        guard let input = unsafe parser?.pointee.input else { return 0 }
        return unsafe Int(input.pointee.line)
    }

    func stop() {
        isStopped = true
        if let parser = unsafe parser { unsafe xmlStopParser(parser) }
    }

    func start(
        _ name: UnsafePointer<xmlChar>, _ space: UnsafePointer<xmlChar>?,
        _ attributes: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?, _ count: Int
    ) {
        guard !isStopped else { return }
        var element = XMLElement(
            name: unsafe String(cString: name), space: unsafe self.space(space), attributes: [], line: line)
        if let attributes = unsafe attributes {
            // Five pointers each: name, prefix, namespace, begin and end of the value.
            for index in 0..<count {
                let fields = unsafe attributes + index * 5
                guard let name = unsafe fields[0], unsafe fields[1] == nil, let begin = unsafe fields[3],
                    let end = unsafe fields[4]
                else { continue }
                let value = unsafe UnsafeBufferPointer(start: begin, count: end - begin)
                element.attributes.append(
                    (unsafe String(cString: name), unsafe String(decoding: value, as: UTF8.self)))
            }
        }
        hasRoot = true
        open.append((element.name, element.line))
        if !taker.start(element) { stop() }
    }

    func end() {
        guard !isStopped else { return }
        open.removeLast()
        if !taker.end() { stop() }
    }

    private func space(_ uri: UnsafePointer<xmlChar>?) -> XMLElement.Space {
        guard let uri = unsafe uri else { return .none }
        let isOurs = unsafe uri.withMemoryRebound(to: CChar.self, capacity: 1) { text in
            unsafe namespace.utf8Start.withMemoryRebound(to: CChar.self, capacity: 1) { ours in
                unsafe strcmp(text, ours) == 0
            }
        }
        return isOurs ? .ours : .other(unsafe String(cString: uri))
    }

    func text(_ bytes: UnsafeRawBufferPointer) {
        guard !isStopped else { return }
        if !taker.text(unsafe bytes.bytes) { stop() }
    }
}
