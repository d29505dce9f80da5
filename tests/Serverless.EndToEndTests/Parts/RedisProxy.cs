using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Serverless.EndToEndTests.Parts;

/// <summary>Stands between clients and a real Redis, understands what they say, and may answer in its stead.</summary>
internal sealed class RedisProxy : IAsyncDisposable
{
    private static readonly HashSet<string> Handshake = new(StringComparer.OrdinalIgnoreCase) { "HELLO", "AUTH", "CLIENT", "SELECT" };

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly int _server;
    private readonly Task _accepting;
    private volatile Func<string, string?> _answer = _ => null;

    public RedisProxy(RedisServer server)
    {
        _server = server.Port;
        _listener.Start();
        Configuration = string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port},protocol=resp2");
        _accepting = AcceptAsync();
    }

    /// <summary>In StackExchange.Redis' words.</summary>
    public string Configuration { get; }

    /// <summary>Every command is answered so, but for those that begin a connection: <c>-OOM …</c>.</summary>
    public void AnswerAll(string answer) => _answer = command => Handshake.Contains(command) ? null : answer;

    /// <summary>As Redis up to 6.2 does: an error inside a script comes wrapped.</summary>
    public void AnswerWrapped(string answer) => _answer = command =>
        Handshake.Contains(command) ? null : command.StartsWith("EVAL", StringComparison.OrdinalIgnoreCase) ? $"-ERR Error running script (call to f_2b1c3): @user_script:7: {answer}" : answer;

    /// <summary>Redis answers.</summary>
    public void PassOn() => _answer = _ => null;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        var open = new List<Task>();
        try
        {
            while (true) open.Add(ServeAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
        }
        finally
        {
            await Task.WhenAll(open).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using var near = client;
        using var far = new TcpClient();
        await far.ConnectAsync(IPAddress.Loopback, _server, _stop.Token);
        var (commands, replies) = (new Frames(near.GetStream()), new Frames(far.GetStream()));
        using var writing = new SemaphoreSlim(1, 1);
        Task? pump = null;
        try
        {
            while (await commands.ReadAsync(_stop.Token))
            {
                if (_answer(commands.FirstWord) is { } answer)
                {
                    await WriteAsync(near, writing, Encoding.UTF8.GetBytes(answer + "\r\n"));
                    continue;
                }

                await far.GetStream().WriteAsync(commands.Frame, _stop.Token);

                // From its first subscription on a connection is told things unasked.
                if (commands.FirstWord.EndsWith("SUBSCRIBE", StringComparison.OrdinalIgnoreCase)) pump ??= PumpAsync(replies, near, writing);
                else if (pump is null && await replies.ReadAsync(_stop.Token)) await WriteAsync(near, writing, replies.Frame);
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // One side is gone; the other is closed with it.
        }
        finally
        {
            far.Close();
            if (pump is not null) await pump;
        }
    }

    private async Task PumpAsync(Frames replies, TcpClient near, SemaphoreSlim writing)
    {
        try
        {
            while (await replies.ReadAsync(_stop.Token)) await WriteAsync(near, writing, replies.Frame);
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            near.Close();
        }
    }

    private async Task WriteAsync(TcpClient near, SemaphoreSlim writing, ReadOnlyMemory<byte> frame)
    {
        await writing.WaitAsync(_stop.Token);
        try
        {
            await near.GetStream().WriteAsync(frame, _stop.Token);
        }
        finally
        {
            writing.Release();
        }
    }

    /// <summary>Reads RESP one frame at a time.</summary>
    private sealed class Frames(NetworkStream stream)
    {
        private readonly ArrayBufferWriter<byte> _frame = new();
        private readonly byte[] _buffer = new byte[64 * 1024];
        private int _from;
        private int _to;

        public ReadOnlyMemory<byte> Frame => _frame.WrittenMemory;

        /// <summary>Of a command.</summary>
        public string FirstWord { get; private set; } = "";

        public async Task<bool> ReadAsync(CancellationToken cancellationToken)
        {
            _frame.ResetWrittenCount();
            FirstWord = "";
            for (var left = 1L; left > 0; left--)
            {
                if (await ReadLineAsync(cancellationToken) is not { Length: > 0 } line) return false;
                switch (line[0])
                {
                    case '*' or '~' or '>':
                        left += Math.Max(0, Number(line));
                        break;
                    case '%':
                        left += 2 * Number(line);
                        break;
                    case '$' or '=' when Number(line) is >= 0 and var length:
                        var text = new byte[length + 2];
                        for (var i = 0; i < text.Length; i++) text[i] = await ReadByteAsync(cancellationToken) ?? throw new IOException("The connection ended within a frame.");
                        if (FirstWord.Length == 0) FirstWord = Encoding.UTF8.GetString(text, 0, text.Length - 2);
                        break;
                    default:
                        break;
                }
            }

            return true;
        }

        private static long Number(string line) => long.Parse(line.AsSpan(1), CultureInfo.InvariantCulture);

        private async Task<string?> ReadLineAsync(CancellationToken cancellationToken)
        {
            var line = new List<byte>(16);
            while (await ReadByteAsync(cancellationToken) is { } one)
            {
                if (one == '\n') return Encoding.UTF8.GetString([.. line]).TrimEnd('\r');
                line.Add(one);
            }

            return null;
        }

        private async ValueTask<byte?> ReadByteAsync(CancellationToken cancellationToken)
        {
            if (_from == _to)
            {
                (_from, _to) = (0, await stream.ReadAsync(_buffer, cancellationToken));
                if (_to == 0) return null;
            }

            _frame.Write(_buffer.AsSpan(_from, 1));
            return _buffer[_from++];
        }
    }
}
