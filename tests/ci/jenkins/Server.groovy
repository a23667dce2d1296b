import java.nio.channels.FileChannel
import java.nio.channels.OverlappingFileLockException
import java.nio.file.StandardOpenOption

/** What the builds of one Jenkins share, each of which is a process here: lines, milestones, workspaces. */
class Server {
    final File folder
    final List held = []  // what is locked as long as this process is there

    // Groovy 2.4 cannot call what an interface like ProcessHandle has.
    private static final String ME = new File('/proc/self').canonicalFile.name

    Server(String folder) { this.folder = new File(folder) }

    /** Run a body when it is its turn: first come, first served, in this process and in others. */
    def inTurn(String name, Closure waits, Closure body) {
        def line = place('lines', name), mine = null
        try {
            alone(line) {
                def last = tickets(line) ? number(tickets(line).last()) : 0
                mine = new File(line, String.format('%06d-%s', last + 1, ME))
                mine.createNewFile()
            }
            while (tickets(line)[0] != mine) { waits(); sleep 50 }
            body()
        } finally {
            mine?.delete()
        }
    }

    /** Let a build pass a milestone of its job, and return null; or return the later one that has passed. */
    Integer pass(String job, int ordinal, int build) {
        def passed = new File(place('milestones', job), "$ordinal")
        alone(passed.parentFile) {
            def last = passed.exists() ? passed.text as int : 0
            if (last > build) return last
            passed.text = build
            null
        }
    }

    /** Return a later build that has passed a milestone after the last one of this build, else null. */
    Integer overtaken(String job, int ordinal, int build) {
        def line = place('milestones', job)
        alone(line) {
            def ahead = line.listFiles().findAll { it.name ==~ /\d+/ && (it.name as int) > ordinal }
            ahead.collect { it.text as int }.find { it > build }
        }
    }

    /** Return where a build has its workspaces: others that run have theirs. */
    File room() {
        def file = (1..9).collect { new File(folder, it > 1 ? "workspace@$it" : 'workspace') }.find { tried(it) }
        if (!file) throw new Failed('no workspace is free')
        file
    }

    private boolean tried(File room) {
        room.mkdirs()
        def channel = opened(new File("${room.path}.lock"))
        held << channel
        channel.tryLock() != null
    }

    private File place(String kind, String name) {
        def file = new File(folder, "$kind/${name.replaceAll(/\W+/, '-')}")
        file.mkdirs()
        file
    }

    private static List tickets(File line) {
        def there = line.listFiles().findAll { it.name ==~ /\d+-\d+/ }
        there.findAll { new File('/proc', it.name.split('-')[1]).exists() }.sort { number(it) }
    }

    private static int number(File ticket) { ticket.name.split('-')[0] as int }

    private static FileChannel opened(File file) {
        FileChannel.open(file.toPath(), StandardOpenOption.CREATE, StandardOpenOption.WRITE)
    }

    private static alone(File folder, Closure body) {
        def channel = opened(new File(folder, 'door'))
        try {
            while (true) {
                try { channel.lock(); break } catch (OverlappingFileLockException ignored) { sleep 5 }
            }
            body()
        } finally {
            channel.close()
        }
    }
}
