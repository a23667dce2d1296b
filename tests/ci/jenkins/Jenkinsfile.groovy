/** What a Jenkinsfile can call and see: the steps, env, params, scm, currentBuild. */
abstract class Jenkinsfile extends Script {
    static Context here() { Context.now }

    static Engine engine() { Context.now.engine }

    void pipeline(Closure body) { engine().pipeline(body) }

    def getProperty(String name) {
        switch (name) {
            case 'env': return new Env()
            case 'params': return engine().told.params
            case 'scm': return scm()
            case 'currentBuild': return new Build(engine: engine())
        }
        if (here().env.containsKey(name)) return here().env[name]
        super.getProperty(name)
    }

    /** The clone as a multibranch job has it by itself: of one branch, without tags. */
    static Map scm() {
        def told = engine().told
        [branches: [[name: told.commit]], extensions: [], userRemoteConfigs: [
            [url: told.repo, credentialsId: 'clone', name: 'origin', refspec: "+refs/heads/${told.branch}:refs/remotes/origin/${told.branch}"]]]
    }

    static File place() {
        if (!here().place) throw new Failed('no workspace: agent none')
        here().place
    }

    static String credential(id) {
        def known = engine().told.credentials
        if (!known.containsKey(id)) throw new Failed("no credential $id")
        known[id]
    }

    def sh(String script) { sh(script: script) }

    def sh(Map given) {
        def file = File.createTempFile('step', '.sh'), group = new File("${file.path}.group")
        file.text = "echo \$\$ >${group.path}\n${given.script}\n"
        engine().say("+ ${given.script.readLines()[0]}")
        def builder = new ProcessBuilder(['setsid', '--wait', '/bin/sh', '-e', file.path]).directory(place())
        builder.environment().clear()
        builder.environment().putAll(here().env.collectEntries { name, value -> [name, value.toString()] })
        builder.redirectErrorStream(!given.returnStdout)
        def process = builder.start()
        process.outputStream.close()
        def drain = given.returnStdout ? Thread.start { process.errorStream.eachLine { engine().say(it) } } : null
        while (process.alive && !(group.exists() && group.text.trim())) { sleep 2 }
        def mine = group.exists() ? group.text.trim() : '', said = new StringBuilder()
        if (mine) engine().running << mine
        process.inputStream.eachLine { said << it << '\n'; if (!given.returnStdout) engine().say(it) }
        int status = process.waitFor()
        drain?.join()
        engine().running.remove(mine)
        [file, group]*.delete()
        if (engine().stopping && status) throw new Aborted('stopped')
        if (given.returnStatus) return status
        if (status) throw new Failed("script returned exit code $status")
        given.returnStdout ? said.toString() : null
    }

    void echo(String message) { engine().say(message) }

    void error(String message) { throw new Failed(message) }

    /** Bring a commit's tree: with what the remote's refspec names, tags and depth as asked. */
    void checkout(Map given) {
        def remote = given.userRemoteConfigs[0], clone = given.extensions.find { it.$class == 'CloneOption' } ?: [noTags: true]
        def depth = clone.shallow ? ["--depth=${clone.depth ?: 1}".toString()] : []
        if (!new File(place(), '.git').exists()) {
            git('init', '--quiet')
            git('remote', 'add', 'origin', remote.url)
        }
        git('fetch', '--quiet', '--force', clone.noTags ? '--no-tags' : '--tags', *depth, "file://${remote.url}", *remote.refspec.split(' '))
        git('checkout', '--quiet', '--force', '--detach', given.branches[0].name)
    }

    private void git(String... arguments) {
        def process = new ProcessBuilder(['git', *arguments]).directory(place()).redirectErrorStream(true).start()
        def said = process.inputStream.text
        if (process.waitFor()) throw new Failed("git ${arguments[0]}: $said")
    }

    void stash(Map given) {
        def root = place(), found = matching(given.includes ?: '**')
        if (!found && !given.allowEmpty) throw new Failed("nothing to stash as ${given.name}")
        engine().stashes[given.name] = found.collectEntries { [root.toPath().relativize(it.toPath()).toString(), it.bytes] }
    }

    void unstash(String name) {
        def kept = engine().stashes[name]
        if (kept == null) throw new Failed("no stash $name")
        kept.each { path, bytes -> def file = new File(place(), path); file.parentFile.mkdirs(); file.bytes = bytes }
        if (engine().told.spoilt?.stage != here().stage) return
        // A test may want another artifact to arrive in a stage than was stashed, or none.
        kept.keySet().findAll { it.endsWith('.whl') }.collect { new File(place(), it) }.each {
            if (engine().told.spoilt.how == 'alters') it << '!' else it.delete()
        }
    }

    private List matching(String patterns) {
        def root = place(), found = []
        def globs = patterns.split(/\s*,\s*/).collect { java.nio.file.FileSystems.default.getPathMatcher("glob:$it") }
        root.eachFileRecurse(groovy.io.FileType.FILES) { file ->
            def path = root.toPath().relativize(file.toPath())
            if (!path.startsWith('.git') && globs.any { it.matches(path) }) found << file
        }
        found
    }

    void junit(Map given) {
        if (!matching(given.testResults) && !given.allowEmptyResults) throw new Failed('no test results')
    }

    void archiveArtifacts(Map given) {
        if (!matching(given.artifacts) && !given.allowEmptyArchive) throw new Failed('nothing to archive')
    }

    def withEnv(List pairs, Closure body) {
        Context.with(env: pairs.collectEntries { it.toString().split('=', 2) as List }, body)
    }

    def gitUsernamePassword(Map given) { [value: credential(given.credentialsId), name: 'GIT_CREDENTIAL'] }

    def string(Map given) { [value: credential(given.credentialsId), name: given.variable] }

    def withCredentials(List bindings, Closure body) { Context.with(env: bindings.collectEntries { [it.name, it.value] }, body) }

    def node(String label = '', Closure body) {
        Context.with(place: engine().workspace('node'), body)
    }

    def script(Closure body) { body() }

    def timeout(Map given, Closure body) { body() }

    def lock(Map given, Closure body) { engine().locked(given.resource.toString(), body) }

    void milestone(int ordinal) { engine().milestone(ordinal) }
}

class Env {
    def getProperty(String name) { Context.now.env[name] }

    void setProperty(String name, value) { Context.now.env[name] = Context.now.engine.base[name] = value.toString() }
}

class Build {
    Engine engine

    List getBuildCauses(String kind) { engine.told.user ? [[userId: engine.told.user]] : [] }

    String getCurrentResult() { engine.result }
}
