"""Owns a screen that nobody sees, with a bus and a home, for programs with windows."""

import asyncio
import shutil

from server import environment

SIZE = ["-screen", "0", "1280x1024x24"]


class Screen:
    """What is started on it runs as a user that `become` makes it, in a directory of its own, and ends with it."""

    def __init__(self, directory, become=(), **variables):
        self._dir, self._become = directory, become
        self._env = environment(HOME=str(directory), XDG_RUNTIME_DIR=str(directory), LC_ALL="C.UTF-8", **variables)
        self._processes = []

    async def _run(self, *command, out=asyncio.subprocess.DEVNULL, error=asyncio.subprocess.DEVNULL):
        return await asyncio.create_subprocess_exec(*command, env=self._env, cwd=self._dir, stdout=out, stderr=error)

    async def _first_line(self, *command):
        process = await self._run(*command, out=asyncio.subprocess.PIPE)
        self._processes.append(process)
        return (await process.stdout.readline()).decode().strip()

    async def start(self):
        """Starts the bus and the screen."""
        bus = [*self._become, "dbus-daemon", "--session", "--print-address", "--nofork"]
        self._env["DBUS_SESSION_BUS_ADDRESS"] = await self._first_line(*bus)
        self._env["DISPLAY"] = ":" + await self._first_line("Xvfb", "-displayfd", "1", *SIZE, "-nolisten", "tcp")

    async def launch(self, *command):
        """Starts a program that stays."""
        self._processes.append(await self._run(*self._become, *command))

    async def ask(self, *command):
        """Waits for the end of a program, and gives what it said."""
        process = await self._run(*self._become, *command, out=asyncio.subprocess.PIPE, error=asyncio.subprocess.STDOUT)
        try:
            return (await process.communicate())[0].decode()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def end(self):
        """Ends what was started, and removes the directory."""
        for process in reversed(self._processes):
            if process.returncode is None:
                process.terminate()
                await process.wait()
        shutil.rmtree(self._dir, ignore_errors=True)
