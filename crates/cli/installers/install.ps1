# Installs the program `rpcplugin` from the archive of a release, on Windows.
#
#     irm https://github.com/rpcplugin/rpcplugin/releases/latest/download/install.ps1 | iex
#
# RPCPLUGIN_VERSION      the version, for example 0.1.0; the newest release if it is not set
# RPCPLUGIN_INSTALL_DIR  where the program is put; %LOCALAPPDATA%\Programs\rpcplugin if it is not set
# RPCPLUGIN_DOWNLOADS    an address or a directory with the archive, in place of the release's

function Install-Rpcplugin {
    $ErrorActionPreference = 'Stop'
    # The bar makes downloads slow in Windows PowerShell.
    $ProgressPreference = 'SilentlyContinue'

    if (-not [Environment]::Is64BitOperatingSystem) {
        throw 'there is no archive for 32-bit Windows; run: cargo install --locked rpcplugin-cli'
    }
    $releases = 'https://github.com/rpcplugin/rpcplugin/releases'
    if ($env:RPCPLUGIN_DOWNLOADS) {
        $downloads = $env:RPCPLUGIN_DOWNLOADS
    } elseif ($env:RPCPLUGIN_VERSION) {
        $downloads = "$releases/download/v$env:RPCPLUGIN_VERSION"
    } else {
        $downloads = "$releases/latest/download"
    }
    if ($env:RPCPLUGIN_INSTALL_DIR) {
        $directory = $env:RPCPLUGIN_INSTALL_DIR
    } else {
        $directory = Join-Path $env:LOCALAPPDATA 'Programs\rpcplugin'
    }

    # Windows on ARM64 runs programs for x86-64.
    $name = 'rpcplugin-cli-x86_64-pc-windows-msvc'
    $archive = "$name.zip"
    $work = Join-Path ([IO.Path]::GetTempPath()) ([Guid]::NewGuid())
    New-Item -ItemType Directory -Path $work | Out-Null
    try {
        foreach ($file in $archive, 'SHA256SUMS') {
            $there = Join-Path $work $file
            if ($downloads -match '^https://') {
                Invoke-WebRequest -UseBasicParsing -Uri "$downloads/$file" -OutFile $there
            } else {
                Copy-Item (Join-Path $downloads $file) $there
            }
        }
        $sum = (Get-FileHash -Algorithm SHA256 (Join-Path $work $archive)).Hash
        $wanted = Get-Content (Join-Path $work 'SHA256SUMS') | Where-Object { $_ -match "[ *]$([Regex]::Escape($archive))$" }
        if (-not $wanted -or ($wanted -split '[ *]')[0] -ne $sum) {
            throw "$archive does not have the checksum that the release names; nothing was installed"
        }
        Expand-Archive -Path (Join-Path $work $archive) -DestinationPath $work
        New-Item -ItemType Directory -Force -Path $directory | Out-Null
        $program = Join-Path $directory 'rpcplugin.exe'
        Copy-Item -Force (Join-Path $work "$name\rpcplugin.exe") $program
        Write-Output "installed $(& $program --version) as $program"
        if (($env:Path -split ';') -notcontains $directory) {
            Write-Output "add $directory to PATH"
        }
    } finally {
        Remove-Item -Recurse -Force $work
    }
}

Install-Rpcplugin
