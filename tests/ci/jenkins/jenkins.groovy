// A stand-in for Jenkins, for tests: is a declarative Jenkinsfile of good form, and what does it do?
// groovy -cp . jenkins.groovy check FILE...
// groovy -cp . jenkins.groovy run FILE JSON   (what Engine is told)
import groovy.json.JsonSlurper

if (args[0] == 'check') {
    def bad = args.drop(1).collectMany { name -> Check.of(new File(name).text).collect { "$name:$it" } }
    bad.each { println it }
    System.exit(bad ? 1 : 0)
}
def text = new File(args[1]).text
def bad = Check.of(text)
if (bad) {
    bad.each { println "${args[1]}:$it" }
    System.exit(2)
}
def told = [number: '1', branch: 'main', press: '', params: [:], credentials: [:], groups: [:]] + new JsonSlurper().parseText(args[2])
def engine = new Engine(told)
def builds = Thread.currentThread()
def status = null
Runtime.runtime.addShutdownHook(new Thread({ if (status == null) { engine.stop(); builds.join() } }))
status = engine.run(text)
System.out.flush()
Runtime.runtime.halt(status)
