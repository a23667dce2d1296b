import org.codehaus.groovy.ast.CodeVisitorSupport
import org.codehaus.groovy.ast.expr.ClosureExpression
import org.codehaus.groovy.ast.expr.ConstantExpression
import org.codehaus.groovy.ast.expr.MapExpression
import org.codehaus.groovy.ast.expr.MethodCallExpression
import org.codehaus.groovy.ast.expr.TupleExpression
import org.codehaus.groovy.ast.expr.BinaryExpression
import org.codehaus.groovy.ast.expr.VariableExpression
import org.codehaus.groovy.ast.stmt.BlockStatement
import org.codehaus.groovy.ast.stmt.EmptyStatement
import org.codehaus.groovy.ast.stmt.ExpressionStatement
import org.codehaus.groovy.control.CompilationUnit
import org.codehaus.groovy.control.MultipleCompilationErrorsException
import org.codehaus.groovy.control.Phases

/** The form of a declarative Jenkinsfile: sections, options, conditions and steps, each with what it takes. */
class Check {
    static final Map SECTIONS = [
        pipeline: 'agent stages environment post options parameters triggers',
        stage: 'agent steps stages parallel environment post when options input failFast',
        post: 'always changed fixed regression aborted failure success unstable unsuccessful notBuilt cleanup',
        options: 'buildDiscarder disableConcurrentBuilds disableResume overrideIndexTriggers preserveStashes quietPeriod'
            + ' retry skipDefaultCheckout skipStagesAfterUnstable timeout timestamps parallelsAlwaysFailFast lock',
        parameters: 'string text booleanParam choice password',
        triggers: 'cron pollSCM upstream',
        input: 'message id ok submitter submitterParameter parameters',
    ].collectEntries { name, words -> [name, words.split(' ') as Set] }
    static final Set IN_STAGE = ['retry', 'skipDefaultCheckout', 'timeout', 'timestamps', 'lock'] as Set
    static final Set UNITS = ['SECONDS', 'MINUTES', 'HOURS', 'DAYS'] as Set
    // What each takes by name; the first may come without one, those with ! have to be there; * is a block.
    static final Map TAKES = [
        sh: 'script! returnStdout returnStatus label', echo: 'message!', error: 'message!',
        checkout: 'scm! changelog poll', stash: 'name! includes excludes allowEmpty useDefaultExcludes',
        unstash: 'name!', dir: 'path! *', deleteDir: '', withEnv: 'overrides! *',
        withCredentials: 'bindings! *', timeout: 'time! unit activity *', retry: 'count! *',
        lock: 'resource label quantity variable inversePrecedence skipIfLocked *',
        milestone: 'ordinal label', script: '*', node: 'label *',
        catchError: 'buildResult stageResult message catchInterruptions *',
        input: 'message! id ok submitter submitterParameter',
        junit: 'testResults! allowEmptyResults skipMarkingBuildUnstable skipPublishingChecks',
        archiveArtifacts: 'artifacts! allowEmptyArchive fingerprint excludes onlyIfSuccessful',
    ].collectEntries { name, words -> [name, words.split(' ').findAll { it }] }
    static final Map CONDITIONS = [
        branch: 'pattern! comparator', buildingTag: '', tag: 'pattern comparator',
        changeRequest: 'target branch', environment: 'name! value!', equals: 'expected! actual!',
        triggeredBy: 'cause! detail', expression: '*', not: '*', allOf: '*', anyOf: '*',
        beforeAgent: 'it!', beforeInput: 'it!', beforeOptions: 'it!',
    ].collectEntries { name, words -> [name, words.split(' ').findAll { it }] }
    static final Map OPTION_TAKES = [
        timeout: ['time!', 'unit', 'activity'], lock: ['resource', 'label', 'quantity'], retry: ['count!'],
        cron: ['spec!'], pollSCM: ['spec!'], buildDiscarder: ['strategy!'],
    ]
    static final Map PARAMETER_TAKES = [choice: ['choices!']]

    List problems = []
    Set stages = []
    Set own = [] // functions of the file

    /** Return what is wrong with a text, a line each. */
    static List of(String text) {
        def check = new Check()
        def unit = new CompilationUnit()
        unit.addSource('Jenkinsfile', text)
        try {
            unit.compile(Phases.CONVERSION)
        } catch (MultipleCompilationErrorsException error) {
            return error.errorCollector.errors.collect { "${it.cause?.line ?: 0}: ${it.cause?.originalMessage ?: it}".toString() }
        }
        check.file(unit.AST.modules[0])
        check.problems
    }

    void wrong(node, String what) { problems << "${node?.lineNumber ?: 0}: $what".toString() }

    static List statements(ClosureExpression block) {
        def code = block.code
        (code instanceof BlockStatement ? code.statements : [code]).findAll { !(it instanceof EmptyStatement) }
    }

    static MethodCallExpression invoked(statement) {
        def found = statement instanceof ExpressionStatement ? statement.expression : statement
        found instanceof MethodCallExpression && found.implicitThis && found.method instanceof ConstantExpression ? found : null
    }

    static List arguments(MethodCallExpression call) {
        call.arguments instanceof TupleExpression ? call.arguments.expressions : [call.arguments]
    }

    static ClosureExpression block(MethodCallExpression call) {
        def given = arguments(call)
        given && given[-1] instanceof ClosureExpression ? given[-1] : null
    }

    /** Whether an argument is what stands before names, and no value: [$class: 'GitSCM'] is a value. */
    static boolean names(argument) {
        argument instanceof MapExpression && !argument.mapEntryExpressions.any { it.keyExpression.text == '$class' }
    }

    static List plain(MethodCallExpression call) {
        arguments(call).findAll { !(names(it) || it instanceof ClosureExpression) }
    }

    static Map named(MethodCallExpression call) {
        def maps = arguments(call).findAll { names(it) }
        maps.collectMany { it.mapEntryExpressions }.collectEntries { [it.keyExpression.text, it.valueExpression] }
    }

    void file(module) {
        own = module.methods*.name as Set
        def calls = module.statementBlock.statements
        def found = calls.findAll { invoked(it)?.methodAsString == 'pipeline' }
        if (calls.size() != 1 || found.size() != 1) { wrong(calls ? calls[-1] : null, 'beside functions there is one pipeline block'); return }
        section('pipeline', invoked(found[0])) { seen ->
            ['agent', 'stages'].each { if (!seen[it]) wrong(found[0], "pipeline has no $it") }
        }
        module.methods.each { it.code.visit(new Steps(this)) }
    }

    void section(String kind, MethodCallExpression at, Closure after = { }) {
        def inner = block(at)
        if (!inner || !statements(inner)) { wrong(at, "$kind needs a block that is not empty"); return }
        def seen = [:]
        statements(inner).each { statement ->
            def one = invoked(statement)
            def name = one?.methodAsString
            if (!(name in SECTIONS[kind])) { wrong(statement, "$kind cannot have ${name ?: statement.text}"); return }
            if (seen[name] && kind != 'parameters') wrong(statement, "$kind has $name twice")
            seen[name] = one
            within(kind, name, one)
        }
        after(seen)
    }

    void within(String kind, String name, MethodCallExpression one) {
        if (kind == 'parameters') {
            takes(one, ['name!', 'defaultValue', 'description', 'trim'] + (PARAMETER_TAKES[name] ?: []))
            if (plain(one)) wrong(one, "$name takes its arguments by name")
        } else if (kind == 'options' || kind == 'triggers') {
            takes(one, OPTION_TAKES[name] ?: [name == 'disableConcurrentBuilds' ? 'abortPrevious' : 'it'])
        } else if (kind == 'input') {
            if (plain(one).size() != 1) wrong(one, "$name takes one value")
        } else if (kind == 'post' || name == 'steps') {
            steps(one)
        } else if (name == 'agent') {
            agent(one)
        } else if (name == 'stages' || name == 'parallel') {
            branches(one, name == 'parallel')
        } else if (name == 'when') {
            conditions(one, true)
        } else if (name == 'environment') {
            environment(one)
        } else if (name != 'failFast') {
            section(name, one) { seen ->
                if (name == 'input' && !seen.message) wrong(one, 'input has no message')
                if (name == 'options' && kind == 'stage') (seen.keySet() - IN_STAGE).each { wrong(one, "option $it is not for a stage") }
            }
        }
    }

    void agent(MethodCallExpression at) {
        def inner = block(at)
        def kinds = inner ? statements(inner).collect { invoked(it)?.methodAsString } : plain(at)*.text
        if (kinds.size() != 1 || !(kinds[0] in (inner ? ['label'] : ['any', 'none']))) wrong(at, "agent is any, none or has a label, not $kinds")
    }

    void environment(MethodCallExpression at) {
        def inner = block(at)
        if (!inner || !statements(inner)) { wrong(at, 'environment is empty'); return }
        statements(inner).each {
            def set = it instanceof ExpressionStatement ? it.expression : null
            if (!(set instanceof BinaryExpression && set.operation.text == '=' && set.leftExpression instanceof VariableExpression)) wrong(it, 'environment takes NAME = value')
        }
    }

    void branches(MethodCallExpression at, boolean beside) {
        def inner = block(at)
        if (!inner || !statements(inner)) { wrong(at, "${at.methodAsString} is empty"); return }
        statements(inner).each {
            def one = invoked(it)
            if (one?.methodAsString != 'stage') { wrong(it, "only a stage can be in ${at.methodAsString}"); return }
            def name = plain(one) ? plain(one)[0].text : null
            if (!name || plain(one).size() != 1) wrong(it, 'a stage has one name')
            if (!stages.add(name)) wrong(it, "two stages are called $name")
            section('stage', one) { seen ->
                def work = ['steps', 'stages', 'parallel'].findAll { seen[it] }
                if (work.size() != 1) wrong(it, "stage $name needs one of steps, stages, parallel")
                if (seen.parallel && (seen.agent || beside)) wrong(it, "stage $name is parallel: no agent, and not in another parallel")
            }
        }
    }

    void conditions(MethodCallExpression at, boolean top = false) {
        def inner = block(at)
        if (!inner || !statements(inner)) { wrong(at, "${at.methodAsString} is empty"); return }
        statements(inner).each {
            def one = invoked(it)
            def name = one?.methodAsString
            if (!(name in CONDITIONS.keySet()) || (name.startsWith('before') && !top)) { wrong(it, "no condition ${name ?: it.text}"); return }
            takes(one, CONDITIONS[name])
            if (name in ['not', 'allOf', 'anyOf']) conditions(one)
        }
    }

    void steps(MethodCallExpression at) {
        def inner = block(at)
        if (!inner || !statements(inner)) { wrong(at, "${at.methodAsString} is empty"); return }
        statements(inner).each { step(it) }
    }

    void step(statement) {
        def one = invoked(statement)
        def name = one?.methodAsString
        if (name in own) { if (block(one)) steps(one); return }
        if (!(name in TAKES.keySet())) { wrong(statement, "no step ${name ?: statement.text}"); return }
        takes(one, TAKES[name])
        if (block(one) && name != 'script') steps(one)
    }

    void takes(MethodCallExpression one, List known) {
        def name = one.methodAsString, words = known*.replace('!', '') - '*', given = named(one), bare = plain(one)
        if (bare.size() > 1 || (bare && given)) wrong(one, "$name takes one value, or several by name")
        if (bare && !words) wrong(one, "$name takes nothing")
        (given.keySet() - words).each { wrong(one, "$name does not take $it") }
        known.findAll { it.endsWith('!') }.eachWithIndex { word, index ->
            if (!given[word - '!'] && !(index == 0 && bare)) wrong(one, "$name needs ${word - '!'}")
        }
        if (!block(one) == ('*' in known)) wrong(one, "$name takes ${'*' in known ? 'a' : 'no'} block")
        if (given.unit instanceof ConstantExpression && !(given.unit.value in UNITS)) wrong(one, "no unit ${given.unit.value}")
        if (given.time instanceof ConstantExpression && !(given.time.value instanceof Integer)) wrong(one, "$name takes a whole number as time")
    }
}

/** In a function everything of Groovy may stand; what is called like a step takes what the step takes. */
class Steps extends CodeVisitorSupport {
    Check check

    Steps(Check check) { this.check = check }

    void visitMethodCallExpression(MethodCallExpression one) {
        def name = Check.invoked(one)?.methodAsString
        if (name && name in Check.TAKES.keySet()) check.takes(one, Check.TAKES[name])
        super.visitMethodCallExpression(one)
    }
}
