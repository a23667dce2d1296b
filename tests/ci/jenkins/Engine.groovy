import groovy.json.JsonOutput
import org.codehaus.groovy.control.CompilerConfiguration

class Failed extends RuntimeException { Failed(String why) { super(why) } }
class Aborted extends RuntimeException { Aborted(String why) { super(why) } }

/** One build of a declarative Jenkinsfile that `Check` found good: stages, agents, results, posts. */
class Engine {
    static final List WORSE = ['SUCCESS', 'UNSTABLE', 'FAILURE', 'ABORTED']
    final Map told      // repo, commit, branch, tag, number, folder, user, press, groups, timer, params, credentials, spoilt
    final Map base      // the environment of every step
    final Map stashes = Collections.synchronizedMap([:])
    final List report = Collections.synchronizedList([])
    final Set running = Collections.synchronizedSet([] as Set) // process groups
    final Server server
    volatile boolean stopping = false
    volatile Integer passed = null // its last milestone
    private File room
    String result = 'SUCCESS'
    def script

    Engine(Map told) {
        this.told = told
        server = new Server(told.folder)
        base = new HashMap(System.getenv())
        base += [BUILD_NUMBER: told.number, JOB_NAME: "team/service/${told.branch}".toString(), JOB_BASE_NAME: told.branch]
        base += told.tag ? [BRANCH_NAME: told.tag, TAG_NAME: told.tag] : [BRANCH_NAME: told.branch]
        base += told.change ? [CHANGE_ID: told.change] : [:]
    }

    synchronized void worse(String other) { if (WORSE.indexOf(other) > WORSE.indexOf(result)) result = other }

    void say(String what) { println "[${Context.now?.stage ?: 'pipeline'}] ${mask(what)}" }

    String mask(String text) { told.credentials.values().inject(text) { said, secret -> said.replace(secret, '****') } }

    int run(String text) {
        def settings = new CompilerConfiguration(scriptBaseClass: Jenkinsfile.name)
        Context.now = new Context(this, null, null, new HashMap(base))
        script = new GroovyShell(this.class.classLoader, new Binding(), settings).parse(text, 'Script1')
        script.run()
        println 'REPORT ' + JsonOutput.toJson([result: result, stages: report])
        result == 'SUCCESS' ? 0 : 1
    }

    void stop() { // as a person who aborts the build: TERM to what runs; what follows a build still does
        stopping = true
        running.toArray().each { ['kill', '-TERM', '--', "-$it"].execute().waitFor() }
    }

    void pipeline(Closure body) {
        def got = Sections.of(body, script)
        Sections.list(got.parameters, script).each { kind, given ->
            def one = given[0]
            def usual = kind == 'choice' ? one.choices[0] : one.defaultValue
            told.params.putIfAbsent(one.name, usual == null ? '' : usual)
        }
        Context.now.env.putAll(told.params.collectEntries { name, value -> [name, value.toString()] })
        def work = { environment(got); stages(got.stages); post(got, result) }
        def alone = Sections.list(got.options, script).any { name, given -> name == 'disableConcurrentBuilds' }
        try {
            alone ? locked("builds of $base.JOB_NAME", work) : work()
        } catch (Aborted error) {
            ended('ABORTED', error)
        }
    }

    void stages(List given) { Sections.list(given, script).each { kind, one -> stage(one[0].toString(), one[1]) } }

    String stage(String name, Closure body) {
        if (result in ['FAILURE', 'ABORTED']) return told_of(name, 'SKIPPED')
        def outer = Context.now, got = Sections.of(body, script)
        String came = 'SUCCESS'
        Context.now = new Context(this, name, outer.place, new HashMap(outer.env) + [STAGE_NAME: name])
        try {
            def conditions = Sections.list(got.when, script)
            if (conditions.every { kind, given -> holds(kind, given) }) {
                if (got.input) ask(Sections.of(got.input[0], script))
                if (got.agent && got.agent[0] != 'none') agent(name)
                environment(got)
                came = work(got)
                post(got, came)
            } else {
                came = 'NOT_BUILT'
            }
        } catch (Aborted error) {
            came = ended('ABORTED', error)
        } finally {
            Context.now = outer
        }
        told_of(name, came)
    }

    String told_of(String name, String came) { report << [name: name, result: came]; came }

    String ended(String how, Throwable why) { say("$how: ${why.message}"); worse(how); how }

    void agent(String name) {
        Context.now.place = workspace(name)
        Context.now.env.WORKSPACE = Context.now.place.path
    }

    synchronized File workspace(String name) {
        room = room ?: server.room()
        def place = new File(room, name.replaceAll(/\W+/, '-'))
        place.mkdirs()
        place
    }

    String work(Map got) {
        try {
            if (got.steps) Sections.within(got.steps[0], script)
            if (got.stages) { stages(got.stages); return result }
            if (got.parallel) return beside(Sections.list(got.parallel, script))
        } catch (Aborted error) {
            return ended('ABORTED', error)
        } catch (Failed | MissingMethodException | MissingPropertyException error) {
            return ended('FAILURE', error)
        }
        'SUCCESS'
    }

    String beside(List branches) {
        def here = Context.now
        def came = Collections.synchronizedList([])
        branches.collect { kind, one ->
            Thread.start {
                Context.now = here
                // All begin before any has ended: a red one does not keep the others from it.
                came << stage(one[0].toString(), one[1])
            }
        }*.join()
        came.max { WORSE.indexOf(it) }
    }

    void environment(Map got) {
        if (got.environment) Sections.within(got.environment[0], new Values(script))
    }

    void post(Map got, String came) {
        def blocks = got.post ? Sections.of(got.post[0], script) : [:]
        def wanted = [always: true, cleanup: true, success: came == 'SUCCESS', failure: came == 'FAILURE',
            aborted: came == 'ABORTED', unstable: came == 'UNSTABLE', unsuccessful: came != 'SUCCESS']
        blocks.findAll { name, given -> wanted[name] }.each { name, given ->
            try {
                Sections.within(given[0], script)
            } catch (Failed | Aborted | MissingMethodException | MissingPropertyException error) {
                ended('FAILURE', error)
            }
        }
    }

    boolean holds(String kind, List given) {
        def env = Context.now.env, one = given[0]
        switch (kind) {
            case ~/before.*/: return true
            case 'expression': return Sections.within(one, script)
            case 'not': return !Sections.list(given, script).every { name, more -> holds(name, more) }
            case 'allOf': return Sections.list(given, script).every { name, more -> holds(name, more) }
            case 'anyOf': return Sections.list(given, script).any { name, more -> holds(name, more) }
            case 'branch': return env.BRANCH_NAME == one && !env.TAG_NAME
            case 'buildingTag': return env.TAG_NAME
            case 'changeRequest': return env.CHANGE_ID
            case 'environment': return env[one.name] == one.value
            case 'triggeredBy': return one == 'TimerTrigger' && told.timer
        }
        throw new Failed("condition $kind is not known here")
    }

    void ask(Map got) {
        def allowed = got.submitter[0].toString().split(',').collectMany { told.groups[it.trim()] ?: [it.trim()] }
        say("input: ${got.message[0]}; of $allowed it is ${told.press ?: 'nobody'}")
        while (told.press == null) { goOn(); sleep 50 }
        if (!told.press) throw new Aborted('nobody pressed the button')
        if (!(told.press in allowed)) throw new Aborted("$told.press may not press this button")
        if (got.submitterParameter) Context.now.env[got.submitterParameter[0]] = told.press
    }

    void goOn() { if (stopping) throw new Aborted('stopped while it waited') }

    /** Run a body while no other build has the lock: the first that came has it first. */
    def locked(String name, Closure body) {
        boolean waits = false
        server.inTurn(name, {
            if (!waits) say("waits for $name")
            waits = true
            goOn()
        }, body)
    }

    /** Abort a build that comes to a milestone which a later one has passed, or waits while one passes. */
    void milestone(int ordinal) {
        int mine = told.number as int
        def later = server.pass(base.JOB_NAME, ordinal, mine)
        if (later) throw new Aborted("build $later has passed this milestone")
        boolean first = passed == null
        passed = ordinal
        if (!first) return
        Thread.startDaemon {
            while (!stopping) {
                sleep 100
                def ahead = server.overtaken(base.JOB_NAME, passed, mine)
                if (ahead) { println "build $ahead has passed the milestone after $passed"; stop() }
            }
        }
    }
}

/** Where a step is: its stage, workspace and environment. */
class Context {
    static final ThreadLocal HERE = new InheritableThreadLocal()
    Engine engine
    String stage
    File place
    Map env

    Context(Engine engine, String stage, File place, Map env) {
        this.engine = engine; this.stage = stage; this.place = place; this.env = env
    }

    static Context getNow() { HERE.get() }

    static void setNow(Context here) { HERE.set(here) }

    /** Call a body with something else: another folder, or more variables. */
    static def with(Map other, Closure body) {
        def outer = now
        now = new Context(outer.engine, outer.stage, other.place ?: outer.place, new HashMap(outer.env) + (other.env ?: [:]))
        try { body() } finally { now = outer }
    }
}

/** What a block holds: its calls, in order. */
class Sections {
    List calls = []
    def script

    def invokeMethod(String name, given) { calls << [name, given as List]; null }

    def getProperty(String name) {
        name in ['calls', 'script'] ? this.@"$name" : name in ['any', 'none'] ? name : this.@script.getProperty(name)
    }

    static List list(List given, script) {
        if (!given) return []
        def found = new Sections(script: script)
        within(given[0], found)
        found.calls
    }

    static Map of(Closure body, script) { list([body], script).collectEntries { name, given -> [name, given] } }

    static def within(Closure body, target) {
        def mine = body.rehydrate(target, target, target)
        mine.resolveStrategy = Closure.DELEGATE_ONLY
        mine()
    }
}

/** environment { NAME = value } */
class Values {
    def script

    Values(script) { this.script = script }

    void setProperty(String name, value) { if (name == 'script') this.@script = value else Context.now.env[name] = value.toString() }

    def getProperty(String name) { this.@script.getProperty(name) }

    def invokeMethod(String name, given) {
        name == 'credentials' ? this.@script.credential(given[0]) : this.@script.invokeMethod(name, given)
    }
}
