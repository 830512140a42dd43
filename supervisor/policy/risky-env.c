/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/risky-env.h"

#include "base/own.h"

#include <fnmatch.h>
#include <string.h>

/* Names, or beginnings of names where the row ends in "*". Sources: ld.so(8), bash(1) and dash(1)
 * under ENVIRONMENT, python(1), node(1), perlrun(1), ruby(1), git(1), the OpenJDK java command,
 * man(1), less(1), ssh(1). */
/* clang-format off */
static const char *const risky[] = {
	"LD_*", "GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH", "MALLOC_*", "GETCONF_DIR",
	"HOSTALIASES", "RESOLV_HOST_CONF", "RES_OPTIONS", "TZDIR", "NSS_*", /* the C library */
	"BASH_ENV", "BASH_FUNC_*", "ENV", "SHELLOPTS", "BASHOPTS", "PS4", "PROMPT_COMMAND",
	"IFS", "CDPATH", "GLOBIGNORE", "FPATH", "ZDOTDIR", /* shells */
	"PYTHONSTARTUP", "PYTHONPATH", "PYTHONHOME", "PYTHONINSPECT", "PYTHONUSERBASE",
	"PYTHONBREAKPOINT", "PYTHONEXECUTABLE", "PYTHONWARNINGS", "PYTHONPYCACHEPREFIX", /* Python */
	"NODE_OPTIONS", "NODE_PATH", "NODE_EXTRA_CA_CERTS", "npm_config_*", "NPM_CONFIG_*", /* Node */
	"PERL5LIB", "PERLLIB", "PERL5OPT", "PERL5DB", "PERL5SHELL", /* Perl */
	"RUBYOPT", "RUBYLIB", "RUBYSHELL", "GEM_HOME", "GEM_PATH", "BUNDLE_GEMFILE", /* Ruby */
	"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH", "MAVEN_OPTS",
	"GRADLE_OPTS", /* Java */
	"LUA_PATH*", "LUA_CPATH*", "LUA_INIT*", "PHPRC", "PHP_INI_SCAN_DIR", "R_PROFILE*",
	"R_ENVIRON*", "TCLLIBPATH", "GIT_SSH*", "GIT_EXTERNAL_DIFF", "GIT_EDITOR",
	"GIT_SEQUENCE_EDITOR", "GIT_PAGER", "GIT_ASKPASS", "GIT_PROXY_COMMAND", "GIT_CONFIG*",
	"GIT_TEMPLATE_DIR", "GIT_EXEC_PATH", "GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE",
	"GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
	"GIT_TRACE*", "GIT_ALLOW_PROTOCOL", "GIT_PROTOCOL_FROM_USER", "GIT_ATTR_*",
	"GIT_REDIRECT_*", /* git */
	"RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTC", "RUSTFLAGS", "CARGO_*", "GOFLAGS",
	"GOTOOLCHAIN", "GCC_EXEC_PREFIX", "COMPILER_PATH", "MAKEFLAGS", "MAKEFILES",
	"CMAKE_TOOLCHAIN_FILE", "MESON_*", /* builds */
	"EDITOR", "VISUAL", "PAGER", "MANPAGER", "BROWSER", "LESSOPEN", "LESSCLOSE",
	"SSH_ASKPASS", "SUDO_ASKPASS", "SSH_AUTH_SOCK", "GPG_AGENT_INFO", "DBUS_*", /* helpers and doors to other programs */
	"GTK_MODULES", "GTK_PATH", "GIO_MODULE_DIR", "GIO_EXTRA_MODULES", "QT_PLUGIN_PATH",
	"OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES", "SSLKEYLOGFILE", "KRB5_CONFIG",
	"DOCKER_HOST", "KUBECONFIG", /* libraries and clients */
};
/* clang-format on */

bool env_is_risky(const char *name)
{
	for (size_t i = 0; i < array_size(risky); i++) {
		size_t n = strlen(risky[i]);

		if (risky[i][n - 1] == '*' ? strncmp(risky[i], name, n - 1) == 0
					   : strcmp(risky[i], name) == 0)
			return true;
	}
	return false;
}

bool env_passes(const char *pattern, const char *name)
{
	if (strcmp(pattern, name) == 0)
		return true;
	/* The long list comes last: few names match a pattern at all. */
	return strpbrk(pattern, "*?") && fnmatch(pattern, name, FNM_NOESCAPE) == 0 &&
	       !env_is_risky(name);
}

bool env_hides(const char *pattern, const char *name)
{
	return strcmp(pattern, name) == 0 || fnmatch(pattern, name, FNM_NOESCAPE) == 0;
}
