"""What the Jenkinsfile is made of, as text; `jenkins` puts it together."""

FUNCTIONS = """\
// When, with which rights, and nothing else: order, gates and budgets stand in delivery.toml.

// A tree like that of a fresh clone, and what the jobs before have handed on: the whole history
// with its tags, for the version; the ledger, by the credential that Jenkins clones with.
void tree(List jobs, boolean all = true) {
    def known = '+refs/heads/*:refs/remotes/origin/* +refs/delivery/*:refs/delivery/*'
    checkout([
        $class: 'GitSCM', branches: scm.branches,
        extensions: scm.extensions + [
            [$class: 'CloneOption', shallow: false, depth: 0, noTags: false, honorRefspec: true]],
        userRemoteConfigs: [[
            name: 'origin', url: scm.userRemoteConfigs[0].url, refspec: known,
            credentialsId: scm.userRemoteConfigs[0].credentialsId]],
    ])
    sh 'git clean -ffdq && rm -rf <left>'
    for (job in jobs) {
        try {
            unstash job
        } catch (Exception none) {
            if (all) { throw none }
        }
    }
}

// By whoever started the build, else by the author of the commit; pushing the ledger, or not.
void delivery(String command, boolean push = false, String by = '') {
    def people = currentBuild.getBuildCauses('hudson.model.Cause$UserIdCause')
    if (!by && people) {
        by = people[0].userId
    } else if (!by) {
        by = sh(script: "git log -1 --format='%an <%ae>'", returnStdout: true).trim()
    }
    withEnv(["DELIVERY_BY=${by}", "DELIVERY_LEDGER_REMOTE=${push ? 'origin' : ''}"]) {
        if (push) {
            withCredentials([gitUsernamePassword(credentialsId: 'delivery-ledger')]) {
                sh "python3 -m delivery ${command}"
            }
        } else {
            sh "python3 -m delivery ${command}"
        }
    }
}

// What the jobs after this one need, and what a person may want to see.
void handOn(String job, String more = '') {
    stash name: job, includes: "<carried>/**${more}", allowEmpty: true
    junit testResults: '.delivery/reports/**/*.xml',
        allowEmptyResults: true, skipMarkingBuildUnstable: true
    archiveArtifacts artifacts: '<kept>', allowEmptyArchive: true
}

// One at a time in an environment, of all builds of all branches.
void alone(String environment, Closure body) {
    lock(resource: "${env.JOB_NAME - ('/' + env.JOB_BASE_NAME)} ${environment}") { body() }
}

boolean delivered() {
    def here = env.BRANCH_NAME == '<branch>' || env.TAG_NAME || params.ON_DEMAND
    return here && !env.CHANGE_ID
}

"""
PARAMETERS = """\
    parameters {
        booleanParam(name: 'ON_DEMAND', description: 'deliver this branch, too')
<buttons>    }
"""
BUTTONS = """\
        choice(name: 'ACTION', choices: ['deliver', 'rollback', 'deploy'])
        choice(name: 'ENVIRONMENT', choices: [<environments>], description: 'where to')
        string(name: 'VERSION', description: 'which one; rollback takes the one before')
        string(name: 'REASON', description: 'why; the ledger keeps it')
"""
HEAD = """\
pipeline {
    agent none
    options {
        buildDiscarder(logRotator(numToKeepStr: '100', artifactNumToKeepStr: '20'))
<concurrent>        skipDefaultCheckout()
        timeout(time: <minutes>, unit: 'MINUTES')
        timestamps()
    }
<parameters>    triggers { cron(env.BRANCH_NAME == '<branch>' ? 'H 4 * * 1' : '') }
    environment {
        CI = 'true'
        DELIVERY_VIA = 'jenkins'
    }
    stages {
        stage('deliver') {
            when {
                expression { !(params.ACTION in ['rollback', 'deploy']) }
                not { triggeredBy 'TimerTrigger' }
            }
            stages {
"""
DELIVERED = """\
                stage('what is delivered') {
                    when { expression { delivered() } }
                    stages {
"""
OPERATE = """\
        stage('<action>') {
            when {
                beforeAgent true
                expression { params.ACTION == '<action>' && delivered() }
            }
            agent <agent>
<secrets>            steps {
                tree([])
                alone(params.ENVIRONMENT) {
                    timeout(time: <minutes>, unit: 'MINUTES') {
                        delivery('<command>', true)
                    }
                }
            }
        }
"""
WEEKLY = """\
        stage('weekly') { // what may change without a commit: advisories, and the template
            when {
                beforeAgent true
                triggeredBy 'TimerTrigger'
            }
            agent <agent>
            steps {
                tree([])
<security>                delivery('template --branch', true)
            }
        }
"""
TAIL = """\
    }
    post {
        unsuccessful { // what is red is told, too
            script {
                if (delivered()) {
                    node('<runner>') {
                        tree([<tested>], false)
                        delivery('sync', true)
                    }
                }
            }
        }
    }
}
"""
