// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Runs Swift tasks on an event loop, so that the whole server, tasks included, lives on its one thread and
/// the
/// process has no cooperative pool to starve.
///
/// The loop outlives every task: `ControlServer.stop` ends them before it ends the loop.
final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop
    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
